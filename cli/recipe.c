#include "cli/recipe.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "nn/train/split.h"
#include "nn/train/wav.h"
#include "record/file.h"

#define RECIPE_BYTES_MAX (1 << 20)
#define SEEDS_LAST       (G_GUINT64_CONSTANT(1) << 53)
#define SEEDS_MAX        10000

enum kind {
    TEXT,
    TEXTS,  /* separated by ';' */
    LAYERS, /* text in which ';' stands for itself */
    WHOLE,  /* int */
    SEED,   /* uint64_t */
    NUMBER, /* double */
    SINGLE, /* float; also as a fraction, "1/255" */
    SWITCH, /* bool */
    LOSS,
    OPTIMIZER,
    SCHEDULE,
    MONITOR,
    KEEP,
    VALIDATION,
    CHOICE, /* int: which of `choices` */
    SEEDS,  /* "1-400" */
};

const char *const recipe_event_names[RECIPE_EVENTS] = {
    [RECIPE_EVENT_ENTER] = "enter",
    [RECIPE_EVENT_EXIT] = "exit",
    [RECIPE_EVENT_MIN_DURATION] = "min_duration_ms",
    [RECIPE_EVENT_COOLDOWN] = "cooldown_ms",
    [RECIPE_EVENT_KIND] = "kind",
    [RECIPE_EVENT_BACKGROUND] = "background",
};

static const char *const splits[] = {"sources", "samples", "blocks", "each-source", NULL};
static const char *const duplicates[] = {"keep", "drop", NULL};

static const struct key {
    const char *group, *name;
    enum kind kind;
    size_t place;
    double low, high; /* of numbers */
    bool needed;
    const char *const *choices;
} keys[] = {
    {"model", "input", TEXT, offsetof(struct recipe, input), 0, 0, false},
    {"model", "layers", LAYERS, offsetof(struct recipe, layers), 0, 0, false},
    {"model", "onnx", TEXT, offsetof(struct recipe, onnx), 0, 0, false},
    {"model", "freeze", TEXT, offsetof(struct recipe, freeze), 0, 0, false},
    {"model", "outputs", WHOLE, offsetof(struct recipe, outputs), 1, 4096, false},

    {"data", "format", TEXT, offsetof(struct recipe, format), 0, 0, true},
    {"data", "samples", TEXTS, offsetof(struct recipe, samples), 0, 0, false},
    {"data", "labels", TEXT, offsetof(struct recipe, labels), 0, 0, false},
    {"data", "classes", TEXT, offsetof(struct recipe, classes), 0, 0, false},
    {"data", "numbers", WHOLE, offsetof(struct recipe, numbers), 1, 65536, false},
    {"data", "fps", NUMBER, offsetof(struct recipe, fps), 0, 240, false},
    {"data", "stride", WHOLE, offsetof(struct recipe, stride), 1, 1024, false},
    {"data", "resize", TEXT, offsetof(struct recipe, resize), 0, 0, false},
    {"data", "pattern", TEXT, offsetof(struct recipe, pattern), 0, 0, false},
    {"data", "rate", WHOLE, offsetof(struct recipe, rate), 1, TRAIN_WAV_RATE_MAX, false},
    {"data", "seeds", SEEDS, offsetof(struct recipe, seeds[TRAIN_PART_TRAIN]), 0, 0, false},
    {"data", "validation_seeds", SEEDS, offsetof(struct recipe, seeds[TRAIN_PART_VALIDATION]),
     0, 0, false},
    {"data", "test_seeds", SEEDS, offsetof(struct recipe, seeds[TRAIN_PART_TEST]), 0, 0, false},
    {"data", "mean", SINGLE, offsetof(struct recipe, options.mean), -1e6, 1e6, false},
    {"data", "scale", SINGLE, offsetof(struct recipe, options.scale), 1e-9, 1e9, false},
    {"data", "validation", VALIDATION, offsetof(struct recipe, validation), 0, 0, false},
    {"data", "duplicates", CHOICE, offsetof(struct recipe, duplicates), 0, 0, false,
     duplicates},

    {"augmentation", "flip", NUMBER, offsetof(struct recipe, options.augment.flip), 0, 1,
     false},
    {"augmentation", "flip_vertical", NUMBER,
     offsetof(struct recipe, options.augment.flip_vertical), 0, 1, false},
    {"augmentation", "shift", NUMBER, offsetof(struct recipe, options.augment.shift), 0, 0.5,
     false},
    {"augmentation", "scale", NUMBER, offsetof(struct recipe, options.augment.scale), 0, 3,
     false},
    {"augmentation", "rotation", NUMBER, offsetof(struct recipe, options.augment.rotation), 0,
     180, false},
    {"augmentation", "brightness", NUMBER, offsetof(struct recipe, options.augment.brightness),
     0, 1, false},
    {"augmentation", "contrast", NUMBER, offsetof(struct recipe, options.augment.contrast), 0,
     1, false},
    {"augmentation", "saturation", NUMBER, offsetof(struct recipe, options.augment.saturation),
     0, 1, false},
    {"augmentation", "noise", NUMBER, offsetof(struct recipe, options.augment.noise), 0, 255,
     false},
    {"augmentation", "blur", NUMBER, offsetof(struct recipe, options.augment.blur), 0, 16,
     false},
    {"augmentation", "occlusion", NUMBER, offsetof(struct recipe, options.augment.occlusion), 0,
     1, false},
    {"augmentation", "reverse", NUMBER, offsetof(struct recipe, options.augment.reverse), 0, 1,
     false},
    {"augmentation", "time_shift", NUMBER, offsetof(struct recipe, options.augment.time_shift),
     0, 1000, false},
    {"augmentation", "time_stretch", NUMBER,
     offsetof(struct recipe, options.augment.time_stretch), 0, 3, false},
    {"augmentation", "gain", NUMBER, offsetof(struct recipe, options.augment.gain), 0, 60,
     false},
    {"augmentation", "drop", NUMBER, offsetof(struct recipe, options.augment.drop), 0, 1,
     false},
    {"augmentation", "mixup", NUMBER, offsetof(struct recipe, options.mixup), 0, 100, false},

    {"events", "enter", TEXT, offsetof(struct recipe, events[RECIPE_EVENT_ENTER]), 0, 0, false},
    {"events", "exit", TEXT, offsetof(struct recipe, events[RECIPE_EVENT_EXIT]), 0, 0, false},
    {"events", "min_duration_ms", TEXT,
     offsetof(struct recipe, events[RECIPE_EVENT_MIN_DURATION]), 0, 0, false},
    {"events", "cooldown_ms", TEXT, offsetof(struct recipe, events[RECIPE_EVENT_COOLDOWN]), 0,
     0, false},
    {"events", "kind", TEXT, offsetof(struct recipe, events[RECIPE_EVENT_KIND]), 0, 0, false},
    {"events", "background", TEXT, offsetof(struct recipe, events[RECIPE_EVENT_BACKGROUND]), 0,
     0, false},

    /* Before what they have defaults for. */
    {"training", "optimizer", OPTIMIZER, 0, 0, 0, false},
    {"training", "schedule", SCHEDULE, 0, 0, 0, false},
    {"training", "loss", LOSS, 0, 0, 0, true},
    {"training", "label_smoothing", NUMBER, offsetof(struct recipe, options.loss.smoothing), 0,
     1, false},
    {"training", "huber_delta", NUMBER, offsetof(struct recipe, options.loss.delta), 1e-9, 1e9,
     false},
    {"training", "rate", NUMBER, offsetof(struct recipe, options.optimizer.rate), 0, 100,
     false},
    {"training", "momentum", NUMBER, offsetof(struct recipe, options.optimizer.momentum), 0, 1,
     false},
    {"training", "nesterov", SWITCH, offsetof(struct recipe, options.optimizer.nesterov), 0, 0,
     false},
    {"training", "rho", NUMBER, offsetof(struct recipe, options.optimizer.rho), 0, 1, false},
    {"training", "beta1", NUMBER, offsetof(struct recipe, options.optimizer.beta1), 0, 1,
     false},
    {"training", "beta2", NUMBER, offsetof(struct recipe, options.optimizer.beta2), 0, 1,
     false},
    {"training", "epsilon", NUMBER, offsetof(struct recipe, options.optimizer.epsilon), 1e-30,
     1, false},
    {"training", "weight_decay", NUMBER,
     offsetof(struct recipe, options.optimizer.weight_decay), 0, 100, false},
    {"training", "clip_norm", NUMBER, offsetof(struct recipe, options.optimizer.clip_norm), 0,
     1e9, false},
    {"training", "clip_value", NUMBER, offsetof(struct recipe, options.optimizer.clip_value), 0,
     1e9, false},
    {"training", "average", NUMBER, offsetof(struct recipe, options.optimizer.average), 0, 1,
     false},
    {"training", "warmup", NUMBER, offsetof(struct recipe, warmup), 0, 1e6, false},
    {"training", "step_every", NUMBER, offsetof(struct recipe, step_every), 0, 1e6, false},
    {"training", "factor", NUMBER, offsetof(struct recipe, options.schedule.factor), 0, 1,
     false},
    {"training", "minimum", NUMBER, offsetof(struct recipe, options.schedule.minimum), 0, 100,
     false},
    {"training", "plateau_patience", WHOLE, offsetof(struct recipe, options.schedule.patience),
     1, 1e6, false},
    {"training", "batch", WHOLE, offsetof(struct recipe, options.batch), 1, 65536, false},
    {"training", "epochs", WHOLE, offsetof(struct recipe, options.epochs), 1, 1e6, false},
    {"training", "patience", WHOLE, offsetof(struct recipe, options.patience), 0, 1e6, false},
    {"training", "monitor", MONITOR, 0, 0, 0, false},
    {"training", "keep", KEEP, 0, 0, 0, false},
    {"training", "seed", SEED, offsetof(struct recipe, options.seed), 0, 0, false},

    {"evaluation", "folds", WHOLE, offsetof(struct recipe, evaluation.folds), 2,
     TRAIN_FOLDS_MAX, false},
    {"evaluation", "split", CHOICE, offsetof(struct recipe, evaluation.split), 0, 0, false,
     splits},
    {"evaluation", "repeats", WHOLE, offsetof(struct recipe, evaluation.repeats), 1, 100,
     false},
};

/* "recipe.ini: [data] samples: WHAT" */
static int refuse(const struct recipe *recipe, const struct key *key, const char *what)
{
    return cli_fail(CLI_CONFIG, "%s: [%s] %s: %s", recipe->path, key->group, key->name, what);
}

/* A number, or two with a stroke between them. */
static bool read_number(const char *text, bool fraction, double *ret_number)
{
    char *end;
    double number = g_ascii_strtod(text, &end);
    if (end == text)
        return false;
    if (fraction && *end == '/') {
        const char *below = end + 1;
        double divisor = g_ascii_strtod(below, &end);
        if (end == below || divisor == 0)
            return false;
        number /= divisor;
    }
    *ret_number = number;
    return *end == '\0' && isfinite(number);
}

static int set_number(struct recipe *recipe, const struct key *key, const char *text,
                      void *place)
{
    double number;
    if (!read_number(text, key->kind == SINGLE, &number))
        return refuse(recipe, key, "should be a number");
    bool whole = key->kind == WHOLE;
    if (number < key->low || number > key->high || (whole && number != floor(number))) {
        g_autofree char *what =
            g_strdup_printf("should be %s from %g to %g", whole ? "a whole number" : "a number",
                            key->low, key->high);
        return refuse(recipe, key, what);
    }
    if (whole)
        *(int *)place = (int)number;
    else if (key->kind == SINGLE)
        *(float *)place = (float)number;
    else
        *(double *)place = number;
    return CLI_OK;
}

static int set_validation(struct recipe *recipe, const struct key *key, const char *text)
{
    double number;
    bool last = g_str_has_prefix(text, "last ");
    if (!read_number(last ? text + strlen("last ") : text, false, &number) ||
        (last ? number < 1 || number > INT_MAX || number != floor(number)
              : number < 0 || number >= 1))
        return refuse(recipe, key,
                      "should be a share as 0.2, or \"last N\" for the last N samples");
    recipe->validation.last = last ? (int)number : 0;
    recipe->validation.share = last ? 0 : number;
    return CLI_OK;
}

static int set_seeds(struct recipe *recipe, const struct key *key, const char *text,
                     struct recipe_seeds *seeds)
{
    const char *behind = strchr(text, '-');
    g_autofree char *first = behind ? g_strndup(text, (gsize)(behind - text)) : NULL;
    guint64 from = 0, to = 0;
    if (!behind ||
        !g_ascii_string_to_unsigned(g_strstrip(first), 10, 1, SEEDS_LAST, &from, NULL) ||
        !g_ascii_string_to_unsigned(behind + 1, 10, from, SEEDS_LAST, &to, NULL) ||
        to - from >= SEEDS_MAX)
        return refuse(recipe, key, "should be as 1-400, at most 10000 of them");
    *seeds = (struct recipe_seeds){from, to};
    return CLI_OK;
}

/* Words of a list that nn/train has. */
static int set_word(struct recipe *recipe, const struct key *key, const char *text)
{
    struct train_fit_options *o = &recipe->options;
    struct nn_error err = {{0}};
    int r = 0;
    if (key->kind == LOSS) {
        r = train_loss_find(text, &o->loss.kind, &err);
    } else if (key->kind == OPTIMIZER) {
        enum train_optimizer_kind kind;
        r = train_optimizer_find(text, &kind, &err);
        if (r == 0)
            o->optimizer = train_optimizer_defaults(kind);
    } else if (key->kind == SCHEDULE) {
        enum train_schedule_kind kind;
        r = train_schedule_find(text, &kind, &err);
        if (r == 0)
            o->schedule = train_schedule_defaults(kind);
    } else {
        bool keep = key->kind == KEEP;
        const char *first = keep ? "best" : "accuracy", *second = keep ? "last" : "loss";
        bool is_first = strcmp(text, first) == 0;
        if (!is_first && strcmp(text, second) != 0)
            r = nn_error_set(&err, -EINVAL, "should be %s or %s", first, second);
        else if (keep)
            o->keep_best = is_first;
        else
            o->monitor = is_first ? TRAIN_MONITOR_ACCURACY : TRAIN_MONITOR_LOSS;
    }
    return r < 0 ? refuse(recipe, key, err.text) : CLI_OK;
}

static int set_choice(struct recipe *recipe, const struct key *key, const char *text,
                      int *place)
{
    for (int i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) != 0)
            continue;
        *place = i;
        return CLI_OK;
    }
    g_autofree char *list = g_strjoinv(", ", (char **)(uintptr_t)key->choices);
    g_autofree char *what = g_strconcat("should be one of ", list, NULL);
    return refuse(recipe, key, what);
}

static int set_key(struct recipe *recipe, const struct key *key, const char *text)
{
    char *place = (char *)recipe + key->place, *end;
    switch (key->kind) {
    case TEXT:
    case LAYERS:
        g_free(*(char **)place);
        *(char **)place = g_strdup(text);
        return CLI_OK;
    case TEXTS:
        g_strfreev(*(char ***)place);
        *(char ***)place = g_strsplit(text, ";", -1);
        for (char **item = *(char ***)place; *item; item++)
            g_strstrip(*item);
        return CLI_OK;
    case SEED:
        errno = 0;
        *(uint64_t *)place = g_ascii_strtoull(text, &end, 10);
        return errno || end == text || *end || *text == '-'
                   ? refuse(recipe, key, "should be a whole number, 0 or more")
                   : CLI_OK;
    case SWITCH:
        *(bool *)place = strcmp(text, "true") == 0;
        return *(bool *)place || strcmp(text, "false") == 0
                   ? CLI_OK
                   : refuse(recipe, key, "should be true or false");
    case VALIDATION:
        return set_validation(recipe, key, text);
    case CHOICE:
        return set_choice(recipe, key, text, (int *)(void *)place);
    case SEEDS:
        return set_seeds(recipe, key, text, (struct recipe_seeds *)(void *)place);
    case WHOLE:
    case NUMBER:
    case SINGLE:
        return set_number(recipe, key, text, place);
    default:
        return set_word(recipe, key, text);
    }
}

static const struct key *find_key(const char *group, const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        if (strcmp(keys[i].group, group) == 0 && (!name || strcmp(keys[i].name, name) == 0))
            return &keys[i];
    return NULL;
}

/* A word that means nothing is a slip: with what there is. */
static int check_words(const struct recipe *recipe, GKeyFile *file)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group; group++) {
        if (!find_key(*group, NULL))
            return cli_fail(
                CLI_CONFIG,
                "%s: no group [%s]: [model], [data], [augmentation], [training], [evaluation] "
                "and [events] are",
                recipe->path, *group);
        g_auto(GStrv) names = g_key_file_get_keys(file, *group, NULL, NULL);
        for (char **name = names; name && *name; name++) {
            if (find_key(*group, *name))
                continue;
            g_autoptr(GString) list = g_string_new(NULL);
            for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                if (strcmp(keys[i].group, *group) == 0)
                    g_string_append_printf(list, "%s%s", list->len ? ", " : "", keys[i].name);
            return cli_fail(CLI_CONFIG, "%s: [%s] has no key %s; there are %s", recipe->path,
                            *group, *name, list->str);
        }
    }
    return CLI_OK;
}

/* Scenes are rendered from seeds, all else is found in files. */
static int check_samples(const struct recipe *recipe)
{
    bool scene = strcmp(recipe->format, "scene") == 0;
    const char *wanted = scene ? "seeds" : "samples";
    bool there = scene ? recipe->seeds[TRAIN_PART_TRAIN].last > 0 : recipe->samples != NULL;
    return there ? CLI_OK : refuse(recipe, find_key("data", wanted), "is missing");
}

static int read_keys(struct recipe *recipe, GKeyFile *file)
{
    int result = check_words(recipe, file);
    for (size_t i = 0; i < G_N_ELEMENTS(keys) && result == CLI_OK; i++) {
        const struct key *key = &keys[i];
        /* As it is written: layers may hold what a string of a key file must escape. */
        g_autofree char *text = g_key_file_get_value(file, key->group, key->name, NULL);
        if (text && *g_strstrip(text))
            result = set_key(recipe, key, text);
        else if (key->needed)
            result = refuse(recipe, key, "is missing");
    }
    return result == CLI_OK ? check_samples(recipe) : result;
}

/* Layers, or a file, and what is said of either. */
static int check_model(struct recipe *recipe)
{
    const struct {
        const char *name;
        bool is_there, of_layers;
    } said[] = {{"input", recipe->input, true},
                {"layers", recipe->layers, true},
                {"freeze", recipe->freeze, false},
                {"outputs", recipe->outputs > 0, false}};
    for (size_t i = 0; i < G_N_ELEMENTS(said); i++) {
        const struct key *key = find_key("model", said[i].name);
        if (recipe->onnx && said[i].is_there && said[i].of_layers)
            return refuse(recipe, key, "the network is that of onnx: leave one of them out");
        if (!recipe->onnx && said[i].is_there && !said[i].of_layers)
            return refuse(recipe, key, "is for a network of a file: there is no onnx");
        if (!recipe->onnx && !said[i].is_there && said[i].of_layers)
            return refuse(recipe, key, "is missing");
    }
    recipe->options.freeze = recipe->freeze;
    return CLI_OK;
}

int recipe_read(const char *path, struct recipe *ret_recipe)
{
    struct recipe *recipe = ret_recipe;
    *recipe = (struct recipe){
        .path = g_strdup(path),
        .numbers = 1,
        .evaluation = {.folds = 5, .repeats = 1},
        .options = {.loss = {.delta = 1},
                    .optimizer = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAM),
                    .schedule = train_schedule_defaults(TRAIN_SCHEDULE_CONSTANT),
                    .batch = 32,
                    .epochs = 10,
                    .keep_best = true,
                    .seed = 1,
                    .mean = NAN,
                    .scale = NAN},
    };
    char *text = NULL;
    size_t size = 0;
    int r = file_read_path(path, RECIPE_BYTES_MAX, &text, &size);
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", path, file_error_text(r));
    recipe->text = g_strndup(text, size);
    free(text);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;
    if (!g_key_file_load_from_data(file, recipe->text, size, G_KEY_FILE_NONE, &error))
        return cli_fail(CLI_CONFIG, "%s is no recipe: %s", path, error->message);
    int result = read_keys(recipe, file);
    return result == CLI_OK ? check_model(recipe) : result;
}

void recipe_clear(struct recipe *recipe)
{
    g_free(recipe->path);
    g_free(recipe->text);
    g_free(recipe->input);
    g_free(recipe->layers);
    g_free(recipe->onnx);
    g_free(recipe->freeze);
    g_free(recipe->format);
    g_free(recipe->labels);
    g_free(recipe->classes);
    g_free(recipe->resize);
    g_free(recipe->pattern);
    g_strfreev(recipe->samples);
    for (int i = 0; i < RECIPE_EVENTS; i++)
        g_free(recipe->events[i]);
    *recipe = (struct recipe){0};
}
