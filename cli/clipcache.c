#include "cli/clipcache.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <glib/gstdio.h>

/* Before the frames: what they are, and the bytes of one. */
#define MAGIC "vigilfra"
struct header {
    char magic[8];
    guint64 frame;
};

static char *folder(void)
{
    return g_build_filename(g_get_user_cache_dir(), "vigil", "windows", NULL);
}

static char *path_of(const char *key)
{
    g_autofree char *in = folder();
    return g_build_filename(in, key, NULL);
}

char *clipcache_key(const char *path, const char *how)
{
    struct stat s;
    if (stat(path, &s) < 0)
        return NULL;
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    g_autofree char *made = g_strdup_printf(
        "%s\n%" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld\n%s\n%s", whole, (gint64)s.st_size,
        (gint64)s.st_mtim.tv_sec, (long)s.st_mtim.tv_nsec, how, VIGIL_VERSION);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, made, -1);
}

GBytes *clipcache_get(const char *key, size_t frame)
{
    g_autofree char *path = path_of(key);
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    struct header header;
    gsize size = file ? g_mapped_file_get_length(file) : 0;
    if (size < sizeof header)
        return NULL;
    memcpy(&header, g_mapped_file_get_contents(file), sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0 || header.frame != frame ||
        size == sizeof header || (size - sizeof header) % frame != 0)
        return NULL;
    /* Used now: what was not for longest goes first. */
    utime(path, NULL);
    g_autoptr(GBytes) all = g_mapped_file_get_bytes(file);
    return g_bytes_new_from_bytes(all, sizeof header, size - sizeof header);
}

struct entry {
    char *path;
    guint64 bytes;
    gint64 used;
};

static void free_entry(gpointer entry)
{
    g_free(((struct entry *)entry)->path);
    g_free(entry);
}

static gint by_use(gconstpointer a, gconstpointer b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return (x->used > y->used) - (x->used < y->used);
}

static void make_room(const char *in)
{
    g_autoptr(GDir) dir = g_dir_open(in, 0, NULL);
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(free_entry);
    guint64 all = 0;
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(in, name, NULL);
        struct stat s;
        if (stat(path, &s) < 0 || !S_ISREG(s.st_mode))
            continue;
        struct entry *entry = g_new(struct entry, 1);
        *entry = (struct entry){g_steal_pointer(&path), (guint64)s.st_size, s.st_mtime};
        g_ptr_array_add(entries, entry);
        all += entry->bytes;
    }
    g_ptr_array_sort(entries, by_use);
    for (guint i = 0; i < entries->len && all > CLIPCACHE_BYTES_MAX; i++) {
        const struct entry *entry = entries->pdata[i];
        if (g_unlink(entry->path) == 0)
            all -= entry->bytes;
    }
}

void clipcache_put(const char *key, size_t frame, const void *bytes, size_t size)
{
    struct header header = {.magic = MAGIC, .frame = frame};
    g_autofree char *in = folder(), *path = path_of(key);
    if (g_mkdir_with_parents(in, 0700) < 0)
        return;
    g_autoptr(GByteArray) whole = g_byte_array_sized_new((guint)MIN(size, G_MAXUINT / 2));
    if (size > G_MAXUINT / 2)
        return;
    g_byte_array_append(whole, (const guint8 *)&header, sizeof header);
    g_byte_array_append(whole, bytes, (guint)size);
    g_file_set_contents_full(path, (const char *)whole->data, (gssize)whole->len,
                             G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
    make_room(in);
}
