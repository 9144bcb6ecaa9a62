/* Two programs know the metadata keys of a model: vigild, which refuses others in a section
 * [model NAME], and the worker, which reads them. */
#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/config/keys.h"
#include "pipeline/modelkeys.h"

static int check(GHashTable *overrides, struct nn_error *err)
{
    struct modelkeys keys = {.overrides = overrides, .err = err};
    return modelkeys_check(&keys);
}

START_TEST(the_configuration_and_the_worker_know_the_same_keys)
{
    const struct config_section *section = config_section_find("model");
    GHashTable *overrides = modelkeys_overrides_new();
    struct nn_error err = {""};
    for (const struct config_key *key = section->keys; key->name; key++)
        if (strcmp(key->name, "path") != 0)
            modelkeys_overrides_add(overrides, key->name, "x");
    ck_assert_msg(check(overrides, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(g_hash_table_size(overrides), MODELKEY_COUNT);
    modelkeys_overrides_add(overrides, "path", "x");
    ck_assert_int_eq(check(overrides, &err), -EINVAL);
    g_hash_table_unref(overrides);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("modelkeys");
    tcase_add_test(all, the_configuration_and_the_worker_know_the_same_keys);
    return suite_run("pipeline/modelkeys", &all, 1);
}
