#include "pipeline/tlsname.h"

#include <errno.h>

struct _TlsName {
    GTlsDatabase parent;
    GTlsDatabase *trust;
    GSocketConnectable *identity;
    gint refusal; /* atomic */
};

G_DEFINE_TYPE(TlsName, tls_name, G_TYPE_TLS_DATABASE)

static GTlsCertificateFlags verify_chain(GTlsDatabase *database, GTlsCertificate *chain,
                                         const gchar *purpose, GSocketConnectable *address,
                                         GTlsInteraction *interaction,
                                         GTlsDatabaseVerifyFlags flags,
                                         GCancellable *cancellable, GError **error)
{
    (void)address;
    TlsName *self = TLS_NAME(database);
    GTlsCertificateFlags refusal = g_tls_database_verify_chain(
        self->trust, chain, purpose, self->identity, interaction, flags, cancellable, error);
    g_atomic_int_set(&self->refusal, (gint)refusal);
    return refusal;
}

/* Asked for the certificate that signed another, when a server leaves it out. */
static GTlsCertificate *lookup_issuer(GTlsDatabase *database, GTlsCertificate *certificate,
                                      GTlsInteraction *interaction,
                                      GTlsDatabaseLookupFlags flags, GCancellable *cancellable,
                                      GError **error)
{
    return g_tls_database_lookup_certificate_issuer(TLS_NAME(database)->trust, certificate,
                                                    interaction, flags, cancellable, error);
}

static void dispose(GObject *object)
{
    TlsName *self = TLS_NAME(object);
    g_clear_object(&self->trust);
    g_clear_object(&self->identity);
    G_OBJECT_CLASS(tls_name_parent_class)->dispose(object);
}

static void tls_name_class_init(TlsNameClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_TLS_DATABASE_CLASS(class)->verify_chain = verify_chain;
    G_TLS_DATABASE_CLASS(class)->lookup_certificate_issuer = lookup_issuer;
}

static void tls_name_init(TlsName *self)
{
    (void)self;
}

TlsName *tls_name_new(GTlsDatabase *trust, const char *host)
{
    TlsName *self = g_object_new(TLS_TYPE_NAME, NULL);
    self->trust = g_object_ref(trust);
    self->identity = g_network_address_new(host, 0);
    return self;
}

GTlsCertificateFlags tls_name_refusal(TlsName *database)
{
    return (GTlsCertificateFlags)g_atomic_int_get(&database->refusal);
}

const char *tls_name_explain(GTlsCertificateFlags flags)
{
    if (flags & G_TLS_CERTIFICATE_UNKNOWN_CA)
        return "the camera's certificate is signed by nobody this machine trusts: name its "
               "authority (tls_ca)";
    if (flags & G_TLS_CERTIFICATE_BAD_IDENTITY)
        return "the camera's certificate is for another name: use that name in the address";
    if (flags & G_TLS_CERTIFICATE_EXPIRED)
        return "the camera's certificate has expired: renew it";
    if (flags & G_TLS_CERTIFICATE_NOT_ACTIVATED)
        return "the camera's certificate is not valid yet: check the clocks";
    return "the camera's certificate is not acceptable";
}

/* Set before any thread exists. It is not made the backend's own: a session opens that one's
 * file once more. */
static GTlsDatabase *authorities;

int tls_name_trust(const char *path, struct record_error *err)
{
    g_autoptr(GError) error = NULL;
    g_autolist(GTlsCertificate) certificates =
        g_tls_certificate_list_new_from_file(path, &error);
    if (certificates)
        authorities = g_tls_file_database_new(path, &error);
    if (authorities)
        return 0;
    g_snprintf(err->text, sizeof err->text, "no certificates can be read from %.120s: %.120s",
               path, error ? error->message : "there is none");
    return -EINVAL;
}

GTlsDatabase *tls_name_authorities(void)
{
    return authorities ? g_object_ref(authorities)
                       : g_tls_backend_get_default_database(g_tls_backend_get_default());
}
