#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/config/config.h"
#include "daemon/config/entries.h"

static char *folder;
static struct config config;
static struct config_error err;

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-config-XXXXXX", NULL);
    ck_assert_ptr_nonnull(folder);
    memset(&config, 0, sizeof config);
    memset(&err, 0, sizeof err);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        remove_tree(child);
    }
    g_remove(path);
}

static void teardown(void)
{
    config_finish(&config);
    remove_tree(folder);
    g_free(folder);
}

static void write_text(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    ck_assert_int_eq(g_mkdir_with_parents(parent, 0700), 0);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static int load_with(const char *text, const char *const *environment, const char *listen)
{
    g_autofree char *path = g_build_filename(folder, "vigil.conf", NULL);
    if (text)
        write_text("vigil.conf", text);
    struct config_options options = {
        .file = path, .environment = environment, .listen = listen};
    return config_load(&options, &config, &err);
}

static int load(const char *text)
{
    return load_with(text, NULL, NULL);
}

static const char *origin_of(const char *section, const char *key)
{
    const struct config_setting *setting = config_find_setting(&config, section, key);
    ck_assert_ptr_nonnull(setting);
    return setting->origin;
}

/* A text with one mistake, the line it is on, and what the message must hold. */
static const struct {
    const char *text;
    int line; /* 0: no line is named */
    const char *says;
} mistakes[] = {
    {"[server]\nlisten = \n", 2, "ADDRESS:PORT"},
    {"[server]\nlisten = 0.0.0.0:8470\n", 2, "listen on 127.0.0.1:8470"},
    {"[server]\n\n# note\nlissen = 127.0.0.1:1\n", 4, "did you mean listen"},
    {"[sever]\nlisten = 127.0.0.1:1\n", 1, "did you mean [server]"},
    {"[kitchen]\n", 1, "known: server, store"},
    {"listen = 127.0.0.1:1\n", 1, "before any [section]"},
    {"[server\n", 1, "[name]"},
    {"[server]\nthis is no pair\n", 2, "key = value"},
    {"[server]\n= 5\n", 2, "key = value"},
    {"[server x]\n", 1, "takes no name"},
    {"[stream]\nuri = scene://street\n", 1, "needs a name"},
    {"[stream Front Door]\nuri = scene://street\n", 1, "a name is"},
    {"[server]\nnode = a\nnode = b\n", 3, "already set on line 2"},
    {"[server]\nnode = a\n[store]\n[server]\nnode = b\n", 5, "already set on line 2"},
    {"[server]\nnode = \\q\n", 2, "escape"},
    {"[server]\nnode = Not Valid\n", 2, "node must be"},
    {"[server]\nmedia_roots = /\n", 2, "whole file system"},
    {"[server]\nmedia_roots = /srv/nowhere,/srv/none\n", 2, "write ; between"},
    {"[server]\nnode = a # mine\n", 2, "a line of its own"},
    {"[stream a]\nuri = scene://street\t# the demo\n", 2, "a line of its own"},
    {"[stream a]\nuri = rtsp://h/\nuser = # none\n", 3, "a line of its own"},
    {"[server]\nnode = a\xff\n", 2, "byte 9 of the line is not UTF-8"},
    {"[store]\npath =\n", 2, "path is empty"},
    {"[store]\nretention_days = -1\n", 2, "whole number from 0"},
    {"[store]\nretention_days = 3 weeks\n", 2, "whole number from 0"},
    {"[store]\nretention_mb = 2 GiB\n", 2, "whole number from 0"},
    {"[store]\nretention_hours = 2\n", 2, "did you mean retention_days"},
    {"[stream a]\nuri = scene://street\nretention_days = -1\n", 3, "whole number from 0"},
    {"[stream a]\nuri = scene://street\nretention_mb = many\n", 3, "whole number from 0"},
    {"[worker]\nprogram =\n", 2, "program is empty"},
    {"[worker]\nready_timeout = 20\n", 2, "duration with its unit, 1 s to 10 min"},
    {"[worker]\nready_timeout = 1 h\n", 2, "duration with its unit, 1 s to 10 min"},
    {"[worker]\nready_timeout = 99999999999999999999 s\n", 2, "duration"},
    {"[worker]\nready_timeout = 9223372036854775807 d\n", 2, "duration"},
    {"[model m]\npath = a\\nb.onnx\n", 2, "cannot be printed"},
    {"[model person]\nlabels = a,b\n", 1, "has no path"},
    {"[model person]\npath = m.onnx\nlabel = a,b\n", 3, "did you mean labels"},
    {"[stream a]\nmodel = scene\n", 1, "uri is missing"},
    {"[server]\n\n[stream a]\n", 3, "uri is missing"},
    {"[model m]\n", 1, "has no path"},
    {"[stream a]\nuri = scene://street\nmodel = scenes\n", 3, "did you mean scene"},
    {"[stream a]\nuri = scene://street\nenabled = maybe\n", 3, "true or false"},
    {"[stream a]\nuri = scene://street\nuser = joe\n", 3, "only rtsp and rtsps"},
    {"[stream a]\nuri = rtsp://h/\nloop = true\n", 3, "only file and scene"},
    {"[stream a]\n\nuri = rtsp://joe:x@h/\nuser = joe\n", 4, "given twice"},
    {"[stream a]\nuri = http://h/\n", 2, "unknown scheme \"http\""},
};

START_TEST(a_mistake_is_refused_with_its_line_and_cure)
{
    char place[32];
    snprintf(place, sizeof place, "vigil.conf:%d: ", mistakes[_i].line);
    ck_assert_int_eq(load(mistakes[_i].text), -EINVAL);
    ck_assert_msg(strstr(err.text, place), "\"%s\" does not name %s", err.text, place);
    ck_assert_msg(strstr(err.text, mistakes[_i].says), "\"%s\" does not say %s", err.text,
                  mistakes[_i].says);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    ck_assert_ptr_null(config.models); /* nothing is returned */
}
END_TEST

START_TEST(without_a_file_there_are_defaults)
{
    struct config_options options = {0};
    ck_assert_int_eq(config_load(&options, &config, &err), 0);
    ck_assert_str_eq(config.listen, "127.0.0.1:8470");
    ck_assert(record_name_is_valid(config.node));
    ck_assert_int_eq(config.retention_days, 30);
    ck_assert_int_eq(config.retention_mb, 0);
    ck_assert_int_eq(config.retention_updates_hours, 24);
    ck_assert(g_str_has_suffix(config.database, "/vigil.db"));
    ck_assert(g_str_has_suffix(config.worker, "/vigil-worker"));
    ck_assert_uint_eq(config.model_count, 1);
    ck_assert_str_eq(config.models[0].name, "scene");
    ck_assert(g_str_has_suffix(config.models[0].path, "/scene.onnx"));
    ck_assert_uint_eq(config.stream_count, 0);
}
END_TEST

START_TEST(a_full_file_is_read_with_paths_beside_it)
{
    ck_assert_int_eq(
        load("[server]\nlisten=127.0.0.1:9000\nnode=nvr1\nmedia_roots=media;/srv/x/\n"
             "[store]\npath=v.db\nretention_days=0\nretention_mb=9000\n"
             "retention_updates_hours=1\n[worker]\nprogram=bin/w\n"
             "[model people]\npath=m.onnx\nlabels=a, b\nenter=0.7\n"
             "[stream door]\nuri=rtsp://joe:p%40ss@cam.lan:554/s?x=1\nmodel=people\n"
             "[stream film]\nuri=file:///srv/x/a%20b.mp4\nloop=true\nenabled=0\n"
             "retention_days=0\nretention_mb=250\n"),
        0);
    ck_assert_str_eq(config.listen, "127.0.0.1:9000");
    ck_assert(g_str_has_suffix(origin_of("server", "listen"), "vigil.conf:2"));
    ck_assert_str_eq(config.node, "nvr1");
    ck_assert_uint_eq(config.media_roots.count, 2);
    ck_assert(g_str_has_prefix(config.media_roots.paths[0], folder));
    ck_assert_str_eq(config.media_roots.paths[1], "/srv/x");
    ck_assert(g_str_has_prefix(config.database, folder));
    ck_assert_int_eq(config.retention_days, 0);
    ck_assert_int_eq(config.retention_mb, 9000);
    ck_assert_int_eq(config.retention_updates_hours, 1);
    ck_assert(g_str_has_prefix(config.worker, folder));
    const struct config_model *people = config_find_model(&config, "people");
    ck_assert_ptr_nonnull(people);
    ck_assert_int_eq(people->override_count, 2);
    ck_assert_str_eq(people->overrides[0].key, "vigil.labels");
    ck_assert_str_eq(people->overrides[0].value, "a, b");
    ck_assert_ptr_nonnull(config_find_model(&config, "scene"));
    ck_assert_uint_eq(config.stream_count, 2);
    const struct config_stream *door = &config.streams[0], *film = &config.streams[1];
    ck_assert_str_eq(door->name, "door");
    ck_assert_int_eq(door->retention_days, -1); /* that of [store] */
    ck_assert_int_eq(door->retention_mb, 0);
    ck_assert_int_eq(film->retention_days, 0);
    ck_assert_int_eq(film->retention_mb, 250);
    ck_assert_str_eq(door->uri, "rtsp://cam.lan:554/s?x=1");
    ck_assert_str_eq(door->user, "joe");
    ck_assert_str_eq(door->password, "p@ss");
    ck_assert_str_eq(door->model, "people");
    ck_assert(door->enabled && !door->loop);
    ck_assert_int_eq(film->scheme, CONFIG_FILE);
    ck_assert(!film->enabled && film->loop);
}
END_TEST

START_TEST(flag_wins_over_environment_over_folder_over_file)
{
    static const char *const environment[] = {
        "VIGIL_SERVER_NODE=from-env", "VIGIL_URL=http://x", "VIGIL_SERVER_LISTEN=127.0.0.1:3",
        "PATH=/bin", NULL};
    write_text("conf.d/10-a.conf", "[server]\nnode = ten\n[store]\nretention_days = 10\n");
    write_text("conf.d/20-b.conf", "[store]\nretention_days = 20\n");
    write_text("conf.d/ignored.txt", "[nonsense]\n");
    ck_assert_int_eq(load_with("[server]\nlisten = 127.0.0.1:1\nnode = file\n[store]\n"
                               "retention_days = 1\npath = p.db\n",
                               environment, "127.0.0.1:4"),
                     0);
    ck_assert_str_eq(config.listen, "127.0.0.1:4");
    ck_assert_str_eq(origin_of("server", "listen"), "--listen");
    ck_assert_str_eq(config.node, "from-env");
    ck_assert_int_eq(config.retention_days, 20);
    ck_assert(g_str_has_suffix(config.database, "/p.db"));
}
END_TEST

START_TEST(credentials_of_the_service_manager_win_over_files)
{
    g_autofree char *variable = g_strdup_printf("CREDENTIALS_DIRECTORY=%s/secrets", folder);
    const char *const environment[] = {variable, NULL};
    write_text("conf.d/10-a.conf", "[stream door]\npassword = older\n");
    write_text("secrets/cameras.conf", "[stream door]\nuser = viewer\npassword = s3cret\n");
    write_text("secrets/tls.key", "of another program's\n");
    const char *text = "[stream door]\nuri = rtsp://192.0.2.7/1\n";
    ck_assert_int_eq(load_with(text, environment, NULL), 0);
    ck_assert_str_eq(config.streams[0].user, "viewer");
    ck_assert_str_eq(config.streams[0].password, "s3cret");
    config_finish(&config);
    write_text("secrets/cameras.conf", "[stream door]\npasword = s3cret\n");
    ck_assert_int_eq(load_with(text, environment, NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "secrets/cameras.conf:2: "));
}
END_TEST

START_TEST(a_section_may_be_spread_over_files_and_each_key_knows_its_own)
{
    write_text("conf.d/50-more.conf",
               "[stream a]\nloop = on\n[stream b]\nuri = scene://room\nenabled = No\n");
    ck_assert_int_eq(load("[stream a]\nuri = scene://street\nloop = off\n"), 0);
    ck_assert_uint_eq(config.stream_count, 2);
    ck_assert(config.streams[0].loop && config.streams[0].enabled);
    ck_assert(!config.streams[1].enabled);
    ck_assert(g_str_has_suffix(origin_of("stream a", "uri"), "vigil.conf:2"));
    ck_assert(g_str_has_suffix(origin_of("stream a", "loop"), "50-more.conf:2"));
    ck_assert_ptr_null(origin_of("stream a", "enabled"));
    ck_assert_ptr_null(origin_of("store", "retention_days"));
}
END_TEST

static bool is_warned_of(const char *place, const char *what)
{
    for (guint i = 0; i < config.warnings->len; i++) {
        const char *warning = config.warnings->pdata[i];
        if (strstr(warning, place) && strstr(warning, what))
            return true;
    }
    return false;
}

START_TEST(a_folder_or_model_that_is_not_there_is_a_warning)
{
    g_autofree char *text = g_strdup_printf("[server]\nmedia_roots = %s;/srv/nowhere\n"
                                            "[model m]\npath = none.onnx\n",
                                            folder);
    ck_assert_int_eq(load(text), 0);
    ck_assert(is_warned_of("vigil.conf:2: ", "/srv/nowhere"));
    ck_assert(is_warned_of("vigil.conf:4: ", "none.onnx"));
    ck_assert(!config_find_model(&config, "m")->file.exists);
}
END_TEST

START_TEST(a_hash_that_belongs_to_a_value_can_be_written)
{
    ck_assert_int_eq(load("[stream a]\nuri=rtsp://h/\nuser=#joe\npassword=a#b\\s#c\n"), 0);
    ck_assert_str_eq(config.streams[0].user, "#joe");
    ck_assert_str_eq(config.streams[0].password, "a#b #c");
}
END_TEST

START_TEST(what_is_in_force_never_holds_credentials)
{
    ck_assert_int_eq(load("[stream a]\nuri=rtsp://joe:canary@h/x\n"
                          "[stream b]\nuri=rtsp://h/\nuser=joe\npassword=canary\n"),
                     0);
    int secrets = 0;
    for (guint i = 0; i < config.settings->len; i++) {
        const struct config_setting *setting = config.settings->pdata[i];
        secrets += !setting->value;
        ck_assert(!setting->value ||
                  (!strstr(setting->value, "canary") && !strstr(setting->value, "joe")));
    }
    ck_assert_int_eq(secrets, 4);
    ck_assert(g_str_has_suffix(origin_of("stream a", "password"), "vigil.conf:2"));
    ck_assert(g_str_has_suffix(origin_of("stream b", "password"), "vigil.conf:6"));
}
END_TEST

START_TEST(a_mistake_in_the_folder_names_that_file)
{
    write_text("conf.d/10-a.conf", "[stream a]\n\nuri = gopher://x\n");
    ck_assert_int_eq(load("[server]\n"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "conf.d/10-a.conf:3: "));
}
END_TEST

START_TEST(a_mistake_in_the_environment_names_the_variable)
{
    static const char *const unknown[] = {"VIGIL_STORE_PAHT=x", NULL};
    static const char *const wrong[] = {"VIGIL_STORE_RETENTION_DAYS=many", NULL};
    ck_assert_int_eq(load_with("", unknown, NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "VIGIL_STORE_PAHT: "));
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean path"));
    ck_assert_int_eq(load_with("", wrong, NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "VIGIL_STORE_RETENTION_DAYS: "));
}
END_TEST

START_TEST(a_file_that_is_missing_or_no_text_is_refused)
{
    ck_assert_int_eq(load(NULL), -ENOENT);
    g_autofree char *path = g_build_filename(folder, "vigil.conf", NULL);
    ck_assert(g_file_set_contents(path, "[server]\n\0x", 11, NULL));
    ck_assert_int_eq(load(NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "byte 10 is zero"));
    g_autofree char *large = g_strnfill((1 << 20) + 1, '\n');
    ck_assert_int_eq(load(large), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "1 MiB"));
    ck_assert(g_file_set_contents(path, "[server]\nnode = \xff\xfe\n", -1, NULL));
    ck_assert_int_eq(load(NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "vigil.conf"));
}
END_TEST

START_TEST(a_sidecar_adds_what_the_configuration_does_not_say)
{
    write_text("m.onnx", "");
    write_text("m.onnx.modelinfo", "[vigil]\nlabels = c,d\nvigil.fps = 5\n");
    ck_assert_int_eq(load("[model m]\npath = m.onnx\nlabels = a,b\n"), 0);
    const struct config_model *model = config_find_model(&config, "m");
    ck_assert_int_eq(model->override_count, 2);
    ck_assert_str_eq(model->overrides[0].key, "vigil.labels");
    ck_assert_str_eq(model->overrides[0].value, "a,b");
    ck_assert_str_eq(model->overrides[1].key, "vigil.fps");
    ck_assert_str_eq(model->overrides[1].value, "5");
}
END_TEST

START_TEST(a_sidecar_with_a_mistake_is_refused_by_name)
{
    static const char *const texts[] = {"[vigil]\nlabls = a\n", "[other]\n", "labels", "",
                                        "[vigil]\nlabels = a\\tb\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        write_text("m.onnx.modelinfo", texts[i]);
        ck_assert_int_eq(load("[model m]\npath = m.onnx\n"), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "m.onnx.modelinfo"));
    }
}
END_TEST

/* A section of which there may be so many, and no more. */
static const struct {
    const char *section;
    int most;
} limits[] = {
    {"[stream s%d]\nuri = scene://street\n", CONFIG_STREAMS_MAX},
    {"[model m%d]\npath = m.onnx\n", CONFIG_MODELS_MAX - 1}, /* and `scene` */
};

START_TEST(there_may_be_so_many_sections_and_no_more)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < limits[_i].most; i++)
        g_string_append_printf(text, limits[_i].section, i);
    ck_assert_int_eq(load(text->str), 0);
    config_finish(&config);
    g_string_append_printf(text, limits[_i].section, limits[_i].most);
    ck_assert_int_eq(load(text->str), -EINVAL);
    g_autofree char *place = g_strdup_printf("vigil.conf:%d: more than %d",
                                             2 * limits[_i].most + 1, limits[_i].most);
    ck_assert_msg(strstr(err.text, place), "%s", err.text);
    g_string_free(text, TRUE);
}
END_TEST

START_TEST(a_folder_of_drop_ins_is_bounded_and_must_be_one)
{
    for (int i = 0; i <= CONFIG_FILES_MAX; i++) {
        g_autofree char *name = g_strdup_printf("conf.d/%03d.conf", i);
        ck_assert_int_eq(load("[server]\n"), 0);
        config_finish(&config);
        write_text(name, "");
    }
    ck_assert_int_eq(load("[server]\n"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "conf.d: holds more than 64 files"));
    g_autofree char *path = g_build_filename(folder, "conf.d", NULL);
    remove_tree(path);
    write_text("conf.d", "");
    ck_assert_int_eq(load("[server]\n"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "conf.d: cannot be read"));
}
END_TEST

START_TEST(the_state_folder_of_systemd_is_the_databases_default)
{
    g_setenv("STATE_DIRECTORY", "/var/lib/private/vigil", TRUE);
    ck_assert_int_eq(load(""), 0);
    ck_assert_str_eq(config.database, "/var/lib/private/vigil/vigil.db");
    g_unsetenv("STATE_DIRECTORY");
}
END_TEST

START_TEST(a_file_cut_at_any_byte_never_crashes_the_reader)
{
    static const char text[] = "[server]\nlisten=127.0.0.1:9\n[model m]\npath=m.onnx\n"
                               "[stream a]\nuri=rtsp://u:p@[::1]:8554/x\nmodel=m\n";
    for (size_t size = 0; size < sizeof text; size++) {
        g_autofree char *cut = g_strndup(text, size);
        if (load(cut) == 0)
            config_finish(&config);
        else
            ck_assert_ptr_nonnull(strstr(err.text, "vigil.conf"));
    }
}
END_TEST

int main(void)
{
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_set_timeout(files, 30);
    tcase_add_loop_test(files, a_mistake_is_refused_with_its_line_and_cure, 0,
                        (int)G_N_ELEMENTS(mistakes));
    tcase_add_test(files, without_a_file_there_are_defaults);
    tcase_add_test(files, a_full_file_is_read_with_paths_beside_it);
    tcase_add_test(files, flag_wins_over_environment_over_folder_over_file);
    tcase_add_test(files, credentials_of_the_service_manager_win_over_files);
    tcase_add_test(files, a_section_may_be_spread_over_files_and_each_key_knows_its_own);
    tcase_add_test(files, a_folder_or_model_that_is_not_there_is_a_warning);
    tcase_add_test(files, a_hash_that_belongs_to_a_value_can_be_written);
    tcase_add_test(files, what_is_in_force_never_holds_credentials);
    tcase_add_test(files, a_mistake_in_the_folder_names_that_file);
    tcase_add_test(files, a_mistake_in_the_environment_names_the_variable);
    tcase_add_test(files, a_file_that_is_missing_or_no_text_is_refused);
    tcase_add_test(files, a_sidecar_adds_what_the_configuration_does_not_say);
    tcase_add_test(files, a_sidecar_with_a_mistake_is_refused_by_name);
    tcase_add_loop_test(files, there_may_be_so_many_sections_and_no_more, 0,
                        (int)G_N_ELEMENTS(limits));
    tcase_add_test(files, a_folder_of_drop_ins_is_bounded_and_must_be_one);
    tcase_add_test(files, the_state_folder_of_systemd_is_the_databases_default);
    tcase_add_test(files, a_file_cut_at_any_byte_never_crashes_the_reader);
    return suite_run("daemon/config/config", &files, 1);
}
