#include "daemon/config/patch.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config/keys.h"

/* Whether the address of a patch brings credentials of its own, which replace those kept. */
static bool brings_credentials(const struct config_stream *stream, const json_t *patch,
                               const struct config_roots *roots)
{
    struct config_stream_fields fields = CONFIG_STREAM_FIELDS_NONE;
    struct config_stream moved;
    struct config_error err;
    fields.uri = json_string_value(json_object_get(patch, "uri"));
    return fields.uri && config_stream_make(stream->name, &fields, roots, &moved, &err) == 0 &&
           config_stream_has_credentials(&moved);
}

/* Scheme, host and port of two addresses that were checked. */
static bool same_server(const char *a, const char *b)
{
    size_t length = (size_t)(strstr(a, "://") - a) + 3;
    length += strcspn(a + length, "/?");
    return g_ascii_strncasecmp(a, b, length) == 0 && strchr("/?", b[length]) != NULL;
}

static int merge(json_t *object, const json_t *patch, struct config_error *err)
{
    const struct config_section *section = config_section_find("stream");
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *)patch, name, member) {
        /* Also with null: a slip of the pen must not look as if it had done something. */
        if (!config_key_find(section, name))
            return config_key_unknown(section, name, "member", "", err);
        if (json_is_null(member))
            json_object_del(object, name);
        else if (json_object_set(object, name, member) < 0)
            return -ENOMEM;
    }
    return 0;
}

int config_patch_apply(const struct config_stream *stream, const json_t *patch,
                       const struct config_roots *roots, struct config_stream *ret_stream,
                       struct config_error *err)
{
    struct config_stream patched;
    json_t *object = config_stream_to_json(stream, true);
    bool brings = brings_credentials(stream, patch, roots);
    if (brings) {
        json_object_del(object, "user");
        json_object_del(object, "password");
    }
    int r = object ? merge(object, patch, err) : -ENOMEM;
    if (r == 0)
        r = config_stream_from_json(stream->name, object, roots, &patched, err);
    json_decref(object);
    if (r == -ENOMEM)
        snprintf(err->text, sizeof err->text, "no memory for the stream");
    if (r < 0)
        return r;
    bool keeps = !brings && ((*stream->user && !json_object_get(patch, "user")) ||
                             (*stream->password && !json_object_get(patch, "password")));
    if (keeps && !same_server(stream->uri, patched.uri)) {
        snprintf(err->text, sizeof err->text,
                 "its user and password were given for another server; send them (or null) "
                 "together with the new address");
        g_strlcpy(err->key, "password", sizeof err->key);
        return -EINVAL;
    }
    *ret_stream = patched;
    return 0;
}
