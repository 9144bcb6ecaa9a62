#include "pipeline/sourceuri.h"

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

static int parse_camera(GUri *uri, struct source_uri *out, struct record_error *err)
{
    const char *host = g_uri_get_host(uri);
    if (!host || !*host)
        return refuse(err, "the URI has no host");
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
    out->port = port > 0 ? port : out->kind == SOURCE_RTSPS ? 322 : 554;
    const char *path = g_uri_get_path(uri), *query = g_uri_get_query(uri);
    int length = snprintf(out->path, sizeof out->path, "%s%s%s", *path ? path : "/",
                          query ? "?" : "", query ? query : "");
    if (length < 0 || (size_t)length >= sizeof out->path)
        return refuse(err, "the URI is too long");
    return 0;
}

static int parse_number(const char *key, const char *value, int64_t low, int64_t high,
                        int64_t *ret_number, struct record_error *err)
{
    guint64 number;
    if (!g_ascii_string_to_unsigned(value, 10, (guint64)low, (guint64)high, &number, NULL))
        return refuse(err, "scene: %.20s must be a whole number from %lld to %lld", key,
                      (long long)low, (long long)high);
    *ret_number = (int64_t)number;
    return 0;
}

static int parse_scene(GUri *uri, struct source_uri *out, struct record_error *err)
{
    const char *name = g_uri_get_host(uri), *path = g_uri_get_path(uri);
    if (!name || !record_name_is_valid(name) || (*path && strcmp(path, "/") != 0))
        return refuse(err,
                      "a scene is written scene://NAME?seed=1&width=640&height=360&fps=15");
    g_strlcpy(out->scene.name, name, sizeof out->scene.name);
    int64_t values[] = {1, 640, 360, 15, 0};
    static const struct {
        const char *key;
        int64_t low, high;
    } keys[] = {
        {"seed", 0, UINT32_MAX},
        {"width", SOURCE_SCENE_SIDE_MIN, SOURCE_SCENE_SIDE_MAX},
        {"height", SOURCE_SCENE_SIDE_MIN, SOURCE_SCENE_SIDE_MAX},
        {"fps", 1, SOURCE_SCENE_FPS_MAX},
        {"duration", 1, 24 * 3600},
    };
    GUriParamsIter iterator;
    g_uri_params_iter_init(&iterator, g_uri_get_query(uri) ? g_uri_get_query(uri) : "", -1, "&",
                           G_URI_PARAMS_NONE);
    char *key, *value;
    GError *error = NULL;
    while (g_uri_params_iter_next(&iterator, &key, &value, &error)) {
        g_autofree char *owned_key = key, *owned_value = value;
        size_t i = 0;
        while (i < G_N_ELEMENTS(keys) && strcmp(keys[i].key, key) != 0)
            i++;
        if (i == G_N_ELEMENTS(keys))
            return refuse(err, "scene: unknown parameter \"%.40s\"", key);
        int r = parse_number(key, value, keys[i].low, keys[i].high, &values[i], err);
        if (r < 0)
            return r;
    }
    if (error) {
        g_error_free(error);
        return refuse(err, "scene: parameters are written name=value with & between");
    }
    out->scene.seed = (uint32_t)values[0];
    out->scene.width = (int)values[1];
    out->scene.height = (int)values[2];
    out->scene.fps = (int)values[3];
    out->scene.duration_s = (int)values[4];
    return 0;
}

int source_uri_parse(const char *text, struct source_uri *ret_uri, struct record_error *err)
{
    static const char *const schemes[] = {"rtsp", "rtsps", "file", "scene"};
    /* Encoded: what was written is what goes to the camera. */
    g_autoptr(GUri) uri =
        g_uri_parse(text, G_URI_FLAGS_ENCODED | G_URI_FLAGS_PARSE_RELAXED, NULL);
    if (!uri)
        return refuse(err, "this is not a URI");
    struct source_uri out = {0};
    size_t kind = 0;
    while (kind < G_N_ELEMENTS(schemes) && strcmp(schemes[kind], g_uri_get_scheme(uri)) != 0)
        kind++;
    if (kind == G_N_ELEMENTS(schemes))
        return refuse(err, "the scheme is \"%.20s\", not rtsp, rtsps, file or scene",
                      g_uri_get_scheme(uri));
    out.kind = (enum source_kind)kind;
    int r = 0;
    if (out.kind == SOURCE_RTSP || out.kind == SOURCE_RTSPS)
        r = parse_camera(uri, &out, err);
    else if (out.kind == SOURCE_SCENE)
        r = parse_scene(uri, &out, err);
    if (r == 0)
        *ret_uri = out;
    return r;
}

int source_uri_locate(const struct source_uri *uri, const char *address, char *ret_text,
                      size_t size)
{
    const char *scheme = uri->kind == SOURCE_RTSPS ? "rtsps" : "rtsp";
    bool six = strchr(address, ':');
    int length = snprintf(ret_text, size, "%s://%s%s%s:%d%s", scheme, six ? "[" : "", address,
                          six ? "]" : "", uri->port, uri->path);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}
