#include "daemon/config/stream.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config/keys.h"
#include "daemon/config/value.h"
#include "record/address.h"
#include "record/text.h"

static const char *const scheme_names[] = {"rtsp", "rtsps", "scene", "file", NULL};

__attribute__((format(printf, 3, 4))) static int refuse(struct config_error *err,
                                                        const char *key, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    g_strlcpy(err->key, key, sizeof err->key);
    return -EINVAL;
}

/* Percent-decodes [from, to); a malformed escape or one of a control character is refused. */
static int decode(const char *from, const char *to, char *ret_text, size_t size)
{
    size_t length = 0;
    for (; from < to; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '%') {
            int high = to - from > 2 ? g_ascii_xdigit_value(from[1]) : -1;
            int low = to - from > 2 ? g_ascii_xdigit_value(from[2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (unsigned char)(high * 16 + low);
            from += 2;
        }
        if (c < 0x20 || c == 0x7f || length + 1 >= size)
            return -EINVAL;
        ret_text[length++] = (char)c;
    }
    ret_text[length] = '\0';
    return g_utf8_validate(ret_text, (gssize)length, NULL) ? 0 : -EINVAL;
}

/* What the worker would say of the address, said now. */
static int check_address(const char *uri, struct config_error *err)
{
    struct address address;
    struct record_error why;
    if (address_parse(uri, &address, &why) < 0)
        return refuse(err, "uri", "%s", why.text);
    return 0;
}

/* Fills uri, user and password of `stream` from an rtsp address; `rest` follows "://". */
static int make_rtsp(const char *rest, struct config_stream *stream, struct config_error *err)
{
    const char *authority_end = rest + strcspn(rest, "/?");
    /* The last @ counts: people write passwords that hold one. */
    const char *at = memrchr(rest, '@', (size_t)(authority_end - rest));
    const char *host = at ? at + 1 : rest;
    snprintf(stream->uri, sizeof stream->uri, "%s://%s", scheme_names[stream->scheme], host);
    if (check_address(stream->uri, err) < 0)
        return refuse(err, "uri",
                      "the host or port of the address is not valid; write "
                      "rtsp://host:port/path (a '/' in a password must be %%2F)");
    if (at) {
        if (*stream->user || *stream->password)
            return refuse(err, "user",
                          "credentials are given twice, in the address and "
                          "apart; remove one");
        const char *colon = memchr(rest, ':', (size_t)(at - rest));
        const char *user_end = colon ? colon : at;
        if (decode(rest, user_end, stream->user, sizeof stream->user) < 0 ||
            (colon && decode(colon + 1, at, stream->password, sizeof stream->password) < 0))
            return refuse(err, "uri",
                          "the user or password in the address is too long or "
                          "holds characters that are not valid");
    }
    return 0;
}

static int make_scene(const char *rest, struct config_stream *stream, struct config_error *err)
{
    snprintf(stream->uri, sizeof stream->uri, "scene://%s", rest);
    int r = check_address(stream->uri, err);
    const char *unknown = r < 0 ? strstr(err->text, "unknown scene parameter \"") : NULL;
    if (!unknown)
        return r;
    /* A slip of the pen is answered with what was meant. */
    g_auto(GStrv) words = g_strsplit(err->text, "\"", 3);
    const char *nearest = text_nearest(words[1], address_scene_parameters());
    g_autofree char *known = g_strjoinv(", ", (char **)address_scene_parameters());
    return refuse(err, "uri", "unknown scene parameter \"%s\"; %s%s", words[1],
                  nearest ? "did you mean " : "known: ", nearest ? nearest : known);
}

int config_stream_media(const char *uri, const struct config_roots *roots,
                        size_t *ret_root_index, char *ret_below, size_t below_size)
{
    char path[MESSAGE_URI_SIZE];
    if (!g_str_has_prefix(uri, "file:///") ||
        decode(uri + strlen("file://"), uri + strlen(uri), path, sizeof path) < 0)
        return -EINVAL;
    /* What is followed is decided at the open (media.h); this only answers early and
     * clearly. */
    g_auto(GStrv) parts = g_strsplit(path + 1, "/", 0);
    for (char **part = parts; *part; part++)
        if (!**part || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
            return -EINVAL;
    for (size_t i = 0; i < roots->count; i++) {
        size_t length = strlen(roots->paths[i]);
        if (strncmp(path, roots->paths[i], length) == 0 && path[length] == '/') {
            if (g_strlcpy(ret_below, path + length + 1, below_size) >= below_size)
                return -EINVAL;
            *ret_root_index = i;
            return 0;
        }
    }
    return -EACCES;
}

static int make_file(const char *rest, const struct config_roots *roots,
                     struct config_stream *stream, struct config_error *err)
{
    snprintf(stream->uri, sizeof stream->uri, "file://%s", rest);
    size_t root_index;
    char below[MESSAGE_URI_SIZE];
    switch (config_stream_media(stream->uri, roots, &root_index, below, sizeof below)) {
    case 0:
        return 0;
    case -EACCES:
        return refuse(err, "uri",
                      roots->count ? "the file is not under any folder of media_roots in "
                                     "[server]"
                                   : "file:// streams need media_roots in [server]: name "
                                     "the folders they may come from");
    default:
        return refuse(err, "uri", "a file address is file:///absolute/path, without . or ..");
    }
}

static int make_uri(const char *uri, const struct config_roots *roots,
                    struct config_stream *stream, struct config_error *err)
{
    if (strlen(uri) >= sizeof stream->uri)
        return refuse(err, "uri", "the address is longer than %zu bytes",
                      sizeof stream->uri - 1);
    for (const char *p = uri; *p; p++)
        if (!g_ascii_isgraph(*p) || *p == '#' || *p == '\\')
            return refuse(err, "uri",
                          "the address holds a character that must be written as "
                          "%%XX, at position %td",
                          p - uri + 1);
    const char *colon = strstr(uri, "://");
    if (!colon)
        return refuse(err, "uri",
                      "the address has no scheme; write rtsp://, rtsps://, "
                      "scene:// or file:// before it");
    g_autofree char *scheme = g_ascii_strdown(uri, colon - uri);
    for (size_t i = 0; scheme_names[i]; i++) {
        if (strcmp(scheme, scheme_names[i]) != 0)
            continue;
        stream->scheme = (enum config_scheme)i;
        switch (stream->scheme) {
        case CONFIG_RTSP:
        case CONFIG_RTSPS:
            return make_rtsp(colon + 3, stream, err);
        case CONFIG_SCENE:
            return make_scene(colon + 3, stream, err);
        case CONFIG_FILE:
            return make_file(colon + 3, roots, stream, err);
        }
    }
    return refuse(err, "uri", "unknown scheme \"%.20s\"; known: rtsp, rtsps, scene, file",
                  scheme);
}

static int copy_credential(const char *key, const char *text, char *ret_text,
                           struct config_error *err)
{
    if (!text)
        return 0;
    size_t length = strlen(text);
    if (length >= MESSAGE_CREDENTIAL_SIZE || !g_utf8_validate(text, (gssize)length, NULL))
        return refuse(err, key, "%s is too long or not UTF-8", key);
    for (const char *p = text; *p; p++)
        if (g_ascii_iscntrl(*p))
            return refuse(err, key, "%s holds a control character", key);
    memcpy(ret_text, text, length + 1);
    return 0;
}

int config_stream_make(const char *name, const struct config_stream_fields *fields,
                       const struct config_roots *roots, struct config_stream *ret_stream,
                       struct config_error *err)
{
    struct config_stream stream = {
        .enabled = fields->enabled != 0,
        .loop = fields->loop > 0,
        .retention_days = fields->retention_days,
        .retention_mb = fields->retention_mb > 0 ? fields->retention_mb : 0,
    };
    if (!record_name_is_valid(name))
        return refuse(err, "name",
                      "a stream's name is 1 to 64 of a-z, 0-9, _ and -, and "
                      "starts with a letter or digit");
    g_strlcpy(stream.name, name, sizeof stream.name);
    if (!fields->uri || !*fields->uri)
        return refuse(err, "uri",
                      "uri is missing; give the stream's address, such as "
                      "rtsp://host/path");
    int r = copy_credential("user", fields->user, stream.user, err);
    if (r == 0)
        r = copy_credential("password", fields->password, stream.password, err);
    if (r == 0)
        r = make_uri(fields->uri, roots, &stream, err);
    if (r < 0)
        return r;
    bool rtsp = stream.scheme == CONFIG_RTSP || stream.scheme == CONFIG_RTSPS;
    if (!rtsp && config_stream_has_credentials(&stream))
        return refuse(err, *stream.user ? "user" : "password",
                      "only rtsp and rtsps streams take a user and a password");
    if (*stream.password && !*stream.user)
        return refuse(err, "password", "a password is given without a user");
    if (stream.loop && rtsp)
        return refuse(err, "loop", "only file and scene streams can loop");
    const char *model = fields->model ? fields->model : "scene";
    g_strlcpy(stream.model, model, sizeof stream.model);
    *ret_stream = stream;
    return 0;
}

static void set_field(struct config_stream_fields *fields, const struct config_key *key,
                      const struct config_value *value)
{
    char *member = (char *)fields + key->offset;
    if (key->type == CONFIG_TEXT || key->type == CONFIG_NAME)
        *(const char **)member = value->text;
    else
        *(int64_t *)member = value->number;
}

int config_stream_field_parse(struct config_stream_fields *fields, const char *key,
                              const char *text, struct config_error *err)
{
    const struct config_key *row = config_key_find(config_section_find("stream"), key);
    struct config_value value;
    int r = config_value_parse(row, text, &value, err);
    if (r == 0)
        set_field(fields, row, &value);
    return r;
}

static int take_text(const struct config_key *key, const json_t *member,
                     struct config_value *ret_value, struct config_error *err)
{
    if (!json_is_string(member))
        return refuse(err, key->name, "%s must be a string", key->name);
    if (strlen(json_string_value(member)) != json_string_length(member))
        return refuse(err, key->name, "%s holds a zero byte", key->name);
    return config_value_parse(key, json_string_value(member), ret_value, err);
}

static int take_number(const struct config_key *key, const json_t *member,
                       struct config_value *ret_value, struct config_error *err)
{
    json_int_t number = json_integer_value(member);
    if (!json_is_integer(member) || number < key->min || number > key->max)
        return refuse(err, key->name,
                      "%s must be a whole number from %" JSON_INTEGER_FORMAT
                      " to %" JSON_INTEGER_FORMAT,
                      key->name, (json_int_t)key->min, (json_int_t)key->max);
    ret_value->number = number;
    return 0;
}

static int take_member(const struct config_key *key, const json_t *member,
                       struct config_value *ret_value, struct config_error *err)
{
    switch (key->type) {
    case CONFIG_BOOLEAN:
        if (!json_is_boolean(member))
            return refuse(err, key->name, "%s must be true or false", key->name);
        ret_value->number = json_is_true(member);
        return 0;
    case CONFIG_INTEGER:
        return take_number(key, member, ret_value, err);
    default:
        return take_text(key, member, ret_value, err);
    }
}

int config_stream_from_json(const char *name, const json_t *object,
                            const struct config_roots *roots, struct config_stream *ret_stream,
                            struct config_error *err)
{
    const struct config_section *section = config_section_find("stream");
    struct config_stream_fields fields = CONFIG_STREAM_FIELDS_NONE;
    const char *name_of_member;
    json_t *member;
    if (!json_is_object(object))
        return refuse(err, "", "a stream must be a JSON object");
    json_object_foreach ((json_t *)object, name_of_member, member) {
        const struct config_key *key = config_key_find(section, name_of_member);
        struct config_value value = {0};
        int r = key ? take_member(key, member, &value, err)
                    : config_key_unknown(section, name_of_member, "member", "", err);
        if (r < 0)
            return r;
        set_field(&fields, key, &value);
    }
    return config_stream_make(name, &fields, roots, ret_stream, err);
}

json_t *config_stream_to_json(const struct config_stream *stream, bool with_credentials)
{
    json_t *object = json_pack("{s:s, s:s, s:b, s:b}", "uri", stream->uri, "model",
                               stream->model, "enabled", stream->enabled, "loop", stream->loop);
    int r = object ? 0 : -1;
    if (r == 0 && stream->retention_days >= 0)
        r = json_object_set_new(object, "retention_days", json_integer(stream->retention_days));
    if (r == 0 && stream->retention_mb > 0)
        r = json_object_set_new(object, "retention_mb", json_integer(stream->retention_mb));
    bool credentials = with_credentials && config_stream_has_credentials(stream);
    if (r == 0 && credentials)
        r = json_object_set_new(object, "user", json_string(stream->user));
    if (r == 0 && credentials)
        r = json_object_set_new(object, "password", json_string(stream->password));
    if (r == 0)
        return object;
    json_decref(object);
    return NULL;
}

bool config_stream_has_credentials(const struct config_stream *stream)
{
    return *stream->user || *stream->password;
}

bool config_stream_names_host(const struct config_stream *stream, const char *host)
{
    if (stream->scheme != CONFIG_RTSP && stream->scheme != CONFIG_RTSPS)
        return false;
    const char *own = strstr(stream->uri, "://") + 3;
    size_t length = strcspn(own, *own == '[' ? "]" : ":/?");
    if (*own == '[') {
        own++;
        length--;
    }
    return strlen(host) == length && g_ascii_strncasecmp(own, host, length) == 0;
}

bool config_stream_equal(const struct config_stream *a, const struct config_stream *b)
{
    return config_stream_same_work(a, b) && a->retention_days == b->retention_days &&
           a->retention_mb == b->retention_mb;
}

bool config_stream_same_source(const struct config_stream *a, const struct config_stream *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->uri, b->uri) == 0 &&
           strcmp(a->user, b->user) == 0 && strcmp(a->password, b->password) == 0 &&
           a->enabled == b->enabled && a->loop == b->loop;
}

bool config_stream_same_work(const struct config_stream *a, const struct config_stream *b)
{
    return config_stream_same_source(a, b) && strcmp(a->model, b->model) == 0;
}
