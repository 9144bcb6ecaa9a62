/* The certificate check of an rtsps source: that it was issued for the camera's name.
 *
 * The source connects to a numeric address, since names are resolved outside the sandbox; left
 * alone, GIO would hold the certificate against that address. This database passes each chain
 * on to another (the system's), with the name in place of the address.
 *
 * Thread: any. */
#ifndef PIPELINE_TLSNAME_H
#define PIPELINE_TLSNAME_H

#include <stdbool.h>

#include <gio/gio.h>

#include "record/record.h"

#define TLS_TYPE_NAME (tls_name_get_type())
G_DECLARE_FINAL_TYPE(TlsName, tls_name, TLS, NAME, GTlsDatabase)

/* trust: where the authorities are (a reference is taken). host: a name or numeric address. */
TlsName *tls_name_new(GTlsDatabase *trust, const char *host);

/* Why the last certificate was refused, 0 when none was. */
GTlsCertificateFlags tls_name_refusal(TlsName *database);

/* One sentence for those flags. */
const char *tls_name_explain(GTlsCertificateFlags flags);

/* From now on only who is in this file of certificates (PEM) may sign those of cameras, no
 * longer whom the system trusts. Once, before any source and any other thread. 0, or -EINVAL
 * with a line. */
int tls_name_trust(const char *path, struct record_error *err);

/* Whom to trust: the caller owns the reference. NULL: this machine has nobody. */
GTlsDatabase *tls_name_authorities(void);

#endif
