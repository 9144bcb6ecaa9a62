#include "record/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>

static int refuse(struct record_error *err, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int refuse(struct record_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return -EINVAL;
}

static bool is_address(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* GUri takes "host:" and "host:0" for a URI. */
static bool port_is_missing(const char *text, GUri *uri)
{
    const char *authority = strstr(text, "://") + strlen("://");
    size_t length = strcspn(authority, "/?");
    return g_uri_get_port(uri) == 0 || (length > 0 && authority[length - 1] == ':');
}

static int parse_camera(const char *text, GUri *uri, struct address *out,
                        struct record_error *err)
{
    const char *host = g_uri_get_host(uri);
    if (!host || !*host)
        return refuse(err, "the URI has no host");
    if (port_is_missing(text, uri))
        return refuse(err, "the port is not a number from 1 to 65535");
    if (g_uri_get_userinfo(uri))
        return refuse(err, "credentials belong in user and password, not in the URI");
    if (g_uri_get_fragment(uri))
        return refuse(err, "the URI of a camera has no fragment");
    if (g_strlcpy(out->host, host, sizeof out->host) >= sizeof out->host)
        return refuse(err, "the host name is too long");
    out->host_is_address = is_address(host);
    /* A name goes to the resolver of the parent, and into TLS. */
    if (!out->host_is_address &&
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789-._") != strlen(host))
        return refuse(err, "the host name holds a character that names do not have");
    int port = g_uri_get_port(uri);
    out->port = port > 0 ? port : out->kind == ADDRESS_RTSPS ? 322 : 554;
    const char *path = g_uri_get_path(uri), *query = g_uri_get_query(uri);
    int length = snprintf(out->path, sizeof out->path, "%s%s%s", *path ? path : "/",
                          query ? "?" : "", query ? query : "");
    if (length < 0 || (size_t)length >= sizeof out->path)
        return refuse(err, "the URI is too long");
    return 0;
}

/* The scenes vigilscenesrc renders. */
static const char *const scenes[] = {"street", "room"};

static const char *const scene_parameters[] = {"seed", "width",    "height",
                                               "fps",  "duration", NULL};
static const struct {
    int64_t low, high, usual;
} scene_ranges[] = {
    {0, UINT32_MAX, 1},
    {ADDRESS_SCENE_SIDE_MIN, ADDRESS_SCENE_SIDE_MAX, 640},
    {ADDRESS_SCENE_SIDE_MIN, ADDRESS_SCENE_SIDE_MAX, 360},
    {1, ADDRESS_SCENE_FPS_MAX, 15},
    {1, 24 * 3600, 0},
};

const char *const *address_scene_parameters(void)
{
    return scene_parameters;
}

static int parse_parameter(const char *key, const char *value, int64_t *values,
                           struct record_error *err)
{
    for (size_t i = 0; scene_parameters[i]; i++) {
        guint64 number;
        if (strcmp(scene_parameters[i], key) != 0)
            continue;
        if (!g_ascii_string_to_unsigned(value, 10, (guint64)scene_ranges[i].low,
                                        (guint64)scene_ranges[i].high, &number, NULL))
            return refuse(err, "scene parameter %s must be a whole number from %lld to %lld",
                          key, (long long)scene_ranges[i].low, (long long)scene_ranges[i].high);
        values[i] = (int64_t)number;
        return 0;
    }
    return refuse(err, "unknown scene parameter \"%.40s\"", key);
}

static int parse_scene(GUri *uri, struct address *out, struct record_error *err)
{
    const char *name = g_uri_get_host(uri), *path = g_uri_get_path(uri);
    size_t known = 0;
    if (!name || !record_name_is_valid(name) || (*path && strcmp(path, "/") != 0))
        return refuse(err, "a scene is written scene://NAME?seed=1&width=640, with a NAME such "
                           "as street");
    while (known < G_N_ELEMENTS(scenes) && strcmp(scenes[known], name) != 0)
        known++;
    if (known == G_N_ELEMENTS(scenes))
        return refuse(err, "there is no scene \"%s\"; known: street, room", name);
    g_strlcpy(out->scene.name, name, sizeof out->scene.name);

    int64_t values[G_N_ELEMENTS(scene_ranges)];
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
        values[i] = scene_ranges[i].usual;
    GUriParamsIter iterator;
    g_uri_params_iter_init(&iterator, g_uri_get_query(uri) ? g_uri_get_query(uri) : "", -1, "&",
                           G_URI_PARAMS_NONE);
    char *key, *value;
    GError *error = NULL;
    while (g_uri_params_iter_next(&iterator, &key, &value, &error)) {
        int r = parse_parameter(key, value, values, err);
        g_free(key);
        g_free(value);
        if (r < 0)
            return r;
    }
    if (error) {
        g_error_free(error);
        return refuse(err, "scene parameters are written name=value with & between");
    }
    out->scene.seed = (uint32_t)values[0];
    out->scene.width = (int)values[1];
    out->scene.height = (int)values[2];
    out->scene.fps = (int)values[3];
    out->scene.duration_s = (int)values[4];
    return 0;
}

int address_parse(const char *text, struct address *ret_address, struct record_error *err)
{
    static const char *const schemes[] = {"rtsp", "rtsps", "file", "scene"};
    /* Encoded: what was written is what goes to the camera. */
    g_autoptr(GUri) uri =
        g_uri_parse(text, G_URI_FLAGS_ENCODED | G_URI_FLAGS_PARSE_RELAXED, NULL);
    if (!uri)
        return refuse(err, "this is not a URI");
    struct address out = {0};
    size_t kind = 0;
    while (kind < G_N_ELEMENTS(schemes) && strcmp(schemes[kind], g_uri_get_scheme(uri)) != 0)
        kind++;
    if (kind == G_N_ELEMENTS(schemes))
        return refuse(err, "the scheme is \"%.20s\", not rtsp, rtsps, file or scene",
                      g_uri_get_scheme(uri));
    out.kind = (enum address_kind)kind;
    int r = 0;
    if (out.kind == ADDRESS_RTSP || out.kind == ADDRESS_RTSPS)
        r = parse_camera(text, uri, &out, err);
    else if (out.kind == ADDRESS_SCENE)
        r = parse_scene(uri, &out, err);
    if (r == 0)
        *ret_address = out;
    return r;
}

int address_locate(const struct address *address, const char *host, char *ret_text, size_t size)
{
    const char *scheme = address->kind == ADDRESS_RTSPS ? "rtsps" : "rtsp";
    bool six = strchr(host, ':');
    int length = snprintf(ret_text, size, "%s://%s%s%s:%d%s", scheme, six ? "[" : "", host,
                          six ? "]" : "", address->port, address->path);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}
