/* Text to layers. A list is layers between ';' and to ')' or the end; one level of recursion
 * for each pair of parentheses. */
#include "nn/train/layers.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest word; so much of it is shown in messages, too. */
enum { WORD_MAX = 64, PLACE_MAX = 64, USAGE_MAX = 160, WORDS_MAX = 480 };

struct parser {
    const char *at; /* what is not read yet */
    struct nn_pool *pool;
    int layers; /* of the whole text, so far */
    struct nn_error *err;
};

static int fail(const struct parser *p, const struct train_layer *layer, int code,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "layer 2.1 'conv2d': ..." */
static int fail(const struct parser *p, const struct train_layer *layer, int code,
                const char *format, ...)
{
    struct nn_error said;
    va_list args;
    va_start(args, format);
    vsnprintf(said.text, sizeof said.text, format, args);
    va_end(args);
    if (!layer->kind)
        return nn_error_set(p->err, code, "layer %s: %s", layer->place, said.text);
    return nn_error_set(p->err, code, "layer %s '%s': %s", layer->place, layer->kind->word,
                        said.text);
}

static int no_memory(const struct parser *p)
{
    return nn_error_set(p->err, -ENOMEM, "no memory for the layers");
}

/* --- words and numbers -------------------------------------------------------------------- */

/* The next byte that is no space, not taken. */
static char peek(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
    return *p->at;
}

/* Takes a word; an empty one where there is none. What is longer than any is cut and ends in
 * dots, so that it fits nothing. */
static void take_word(struct parser *p, char word[WORD_MAX])
{
    size_t length = 0;
    peek(p);
    for (; *p->at && !isspace((unsigned char)*p->at) && !strchr(";|()", *p->at); p->at++)
        if (length < WORD_MAX - 1)
            word[length++] = isprint((unsigned char)*p->at) ? *p->at : '?';
        else
            memset(word + length - 3, '.', 3);
    word[length] = '\0';
}

/* Digits at *text, moved behind them. -1: there are none, or the number is over `most`. */
static int64_t take_number(const char **text, int64_t most)
{
    int64_t number = 0;
    const char *at = *text;
    for (; isdigit((unsigned char)*at); at++) {
        number = 10 * number + (*at - '0');
        if (number > most)
            return -1;
    }
    if (at == *text)
        return -1;
    *text = at;
    return number;
}

/* A word that is one whole number from 1 to most. */
static bool is_number(const char *word, int64_t most, int64_t *ret_number)
{
    int64_t number = take_number(&word, most);
    if (number < 1 || *word)
        return false;
    *ret_number = number;
    return true;
}

/* "0.25", whatever the locale. */
static bool is_decimal(const char *word, double *ret_number)
{
    double number = 0, unit = 1;
    const char *at = word;
    bool digits = false;
    for (; isdigit((unsigned char)*at); at++, digits = true)
        number = 10 * number + (*at - '0');
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at); at++, digits = true)
            number += (*at - '0') * (unit /= 10);
    if (!digits || *at)
        return false;
    *ret_number = number;
    return true;
}

/* "8x8x128"; with `open`, one of them may be -1. Returns whether it is that. */
static bool is_shape(const char *word, int rank_max, int64_t most, bool open,
                     struct nn_shape *ret_shape)
{
    struct nn_shape shape = {0};
    for (;; word++) {
        if (shape.rank == rank_max)
            return false;
        int64_t *dim = &shape.dim[shape.rank++];
        if (open && strncmp(word, "-1", 2) == 0) {
            open = false;
            *dim = -1;
            word += 2;
        } else if ((*dim = take_number(&word, most)) < 1) {
            return false;
        }
        if (*word != 'x')
            break;
    }
    if (*word)
        return false;
    *ret_shape = shape;
    return true;
}

const char *train_shape_text(const struct nn_shape *shape, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int d = 0; d < shape->rank && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", d > 0 ? "x" : "",
                                 (long long)shape->dim[d]);
    return text;
}

int train_layers_parse_shape(const char *text, struct nn_shape *ret_shape, struct nn_error *err)
{
    struct parser p = {.at = text};
    char word[WORD_MAX];
    take_word(&p, word);
    if (peek(&p) ||
        !is_shape(word, TRAIN_LAYERS_RANK_MAX, TRAIN_LAYERS_NUMBER_MAX, false, ret_shape))
        return nn_error_set(err, -EINVAL,
                            "the input '%.40s' is no shape: write 16x64x64x3 (time, height, "
                            "width, channels), 28x28x1, 100x1 (time, features) or 120; no "
                            "number over %d",
                            text, TRAIN_LAYERS_NUMBER_MAX);
    return 0;
}

/* --- what a layer is told ----------------------------------------------------------------- */

static int misread(const struct parser *p, const struct train_layer *layer, const char *what,
                   const char *word, const char *wanted)
{
    char usage[USAGE_MAX];
    train_layer_usage(layer->kind, usage, sizeof usage);
    if (!*word)
        return fail(p, layer, -EINVAL, "%s is missing: write %s", what, usage);
    return fail(p, layer, -EINVAL, "%s is '%s', not %s: write %s", what, word, wanted, usage);
}

/* N or HxW, for each axis of the layer's windows. */
static int read_window(const struct parser *p, const struct train_layer *layer,
                       const char *what, const char *word, int64_t *ret_values)
{
    struct nn_shape shape;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "a number%s from 1 to %d",
             layer->kind->axes > 1 ? ", or HxW," : "", TRAIN_LAYERS_WINDOW_MAX);
    if (!is_shape(word, layer->kind->axes, TRAIN_LAYERS_WINDOW_MAX, false, &shape))
        return misread(p, layer, what, word, wanted);
    for (int i = 0; i < layer->kind->axes; i++)
        ret_values[i] = shape.dim[i < shape.rank ? i : 0];
    return 0;
}

/* The number behind a function, where there is one and a number follows. */
static void read_alpha(struct parser *p, struct train_function *function)
{
    char word[WORD_MAX];
    double alpha;
    if (!train_function_has_alpha(function->kind, &function->alpha) ||
        !(isdigit((unsigned char)peek(p)) || *p->at == '.'))
        return;
    const char *before = p->at;
    take_word(p, word);
    if (is_decimal(word, &alpha))
        function->alpha = (float)alpha;
    else
        p->at = before;
}

static int read_argument(struct parser *p, struct train_layer *layer, int index)
{
    enum train_argument argument = layer->kind->arguments[index];
    const char *what = train_argument_name(argument);
    char word[WORD_MAX], wanted[WORDS_MAX];
    struct nn_shape *shape = &layer->shape;
    take_word(p, word);
    snprintf(wanted, sizeof wanted, "a whole number from 1 to %d", TRAIN_LAYERS_NUMBER_MAX);
    switch (argument) {
    case TRAIN_ARGUMENT_NONE:
        break;
    case TRAIN_ARGUMENT_UNITS:
    case TRAIN_ARGUMENT_FILTERS:
    case TRAIN_ARGUMENT_WORDS:
    case TRAIN_ARGUMENT_HEADS:
    case TRAIN_ARGUMENT_BANDS:
        if (!is_number(word, TRAIN_LAYERS_NUMBER_MAX, &layer->units))
            return misread(p, layer, what, word, wanted);
        break;
    case TRAIN_ARGUMENT_WIDTH:
    case TRAIN_ARGUMENT_HERTZ:
        if (!is_number(word, TRAIN_LAYERS_NUMBER_MAX, &layer->width))
            return misread(p, layer, what, word, wanted);
        break;
    case TRAIN_ARGUMENT_SIZE:
        return read_window(p, layer, what, word, layer->size);
    case TRAIN_ARGUMENT_SHAPE:
        if (!is_shape(word, TRAIN_LAYERS_RANK_MAX, TRAIN_LAYERS_NUMBER_MAX, true, shape))
            return misread(p, layer, what, word,
                           "one to four numbers such as 8x8x128, one of which may be -1");
        break;
    case TRAIN_ARGUMENT_AXES:
        if (!is_shape(word, TRAIN_LAYERS_RANK_MAX, TRAIN_LAYERS_RANK_MAX, false, shape))
            return misread(p, layer, what, word, "the numbers of its axes, from 1, as in 2x1");
        break;
    case TRAIN_ARGUMENT_RATE:
        if (!is_decimal(word, &layer->rate) || !(layer->rate < 1))
            return misread(p, layer, what, word, "a number from 0 to below 1");
        break;
    case TRAIN_ARGUMENT_FACTOR:
        if (!is_decimal(word, &layer->rate) || !(layer->rate >= 1e-9) || layer->rate > 1e9)
            return misread(p, layer, what, word, "a number above 0, to 1e9");
        break;
    case TRAIN_ARGUMENT_FUNCTION:
        layer->function.kind = train_function_find(word);
        if (!layer->function.kind) {
            train_function_words(wanted, sizeof wanted);
            return fail(p, layer, -EINVAL, "there is no function '%s'; there are %s", word,
                        wanted);
        }
        read_alpha(p, &layer->function);
        break;
    }
    return 0;
}

/* The value of an option that has one. */
static int read_value(struct parser *p, struct train_layer *layer,
                      enum train_layer_option option)
{
    char word[WORD_MAX];
    take_word(p, word);
    if (option == TRAIN_OPTION_STRIDE)
        return read_window(p, layer, "stride", word, layer->stride);
    if (option == TRAIN_OPTION_WINDOW)
        return read_window(p, layer, "window", word, layer->size);
    if (option == TRAIN_OPTION_DILATION)
        return read_window(p, layer, "dilation", word, layer->dilation);
    if (option == TRAIN_OPTION_FLOOR)
        return is_decimal(word, &layer->floor) && layer->floor > 0 && layer->floor < 1
                   ? 0
                   : misread(p, layer, "floor", word, "a number between 0 and 1");
    if (!is_number(word, TRAIN_LAYERS_NUMBER_MAX, &layer->groups))
        return misread(p, layer, "groups", word, "a whole number");
    return 0;
}

static const struct {
    const char *word;
    enum train_layer_option option;
    bool has_value;
} options[] = {
    {"window", TRAIN_OPTION_WINDOW, true},
    {"stride", TRAIN_OPTION_STRIDE, true},
    {"same", TRAIN_OPTION_PADDING, false},
    {"valid", TRAIN_OPTION_PADDING, false},
    {"dilation", TRAIN_OPTION_DILATION, true},
    {"groups", TRAIN_OPTION_GROUPS, true},
    {"return_sequences", TRAIN_OPTION_SEQUENCES, false},
    {"peepholes", TRAIN_OPTION_PEEPHOLES, false},
    {"absolute", TRAIN_OPTION_ABSOLUTE, false},
    {"relative", TRAIN_OPTION_RELATIVE, false},
    {"floor", TRAIN_OPTION_FLOOR, true},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static int read_option(struct parser *p, struct train_layer *layer, unsigned *given)
{
    char word[WORD_MAX], usage[USAGE_MAX];
    take_word(p, word);
    unsigned option = 0;
    bool has_value = false;
    struct train_function function = {.kind = train_function_find(word)};
    if (function.kind)
        option = TRAIN_OPTION_FUNCTION;
    for (int i = 0; i < OPTION_COUNT; i++)
        if (strcmp(word, options[i].word) == 0) {
            option = options[i].option;
            has_value = options[i].has_value;
        }
    if (!(option & layer->kind->options))
        return fail(p, layer, -EINVAL, "it has no '%s': write %s", word,
                    train_layer_usage(layer->kind, usage, sizeof usage));
    if (*given & option)
        return fail(p, layer, -EINVAL, "'%s' is said twice, or against what stands before it",
                    word);
    *given |= option;
    if (has_value)
        return read_value(p, layer, option);
    if (option == TRAIN_OPTION_FUNCTION) {
        read_alpha(p, &function);
        layer->function = function;
    }
    layer->same |= strcmp(word, "same") == 0;
    layer->sequences |= option == TRAIN_OPTION_SEQUENCES;
    layer->peepholes |= option == TRAIN_OPTION_PEEPHOLES;
    layer->absolute |= option == TRAIN_OPTION_ABSOLUTE;
    layer->relative |= option == TRAIN_OPTION_RELATIVE;
    return 0;
}

/* --- layers ------------------------------------------------------------------------------- */

static int read_list(struct parser *p, const char *place, int depth,
                     struct train_layer **ret_layers);

/* How many of a separator are in the list at p->at, which ends at ')', or '|' for ';', or the
 * end; not those of lists within it. */
static int count_separators(const char *at, char separator)
{
    int depth = 0, count = 0;
    for (; *at && depth >= 0 && (depth > 0 || *at != '|' || separator == '|'); at++) {
        depth += (*at == '(') - (*at == ')');
        count += *at == separator && depth == 0;
    }
    return count;
}

/* "2", or "2.1", the first within the second. */
static const char *place_of(struct parser *p, const char *within, int number)
{
    char text[PLACE_MAX];
    int length = snprintf(text, sizeof text, "%s%s%d", within, *within ? "." : "", number);
    return nn_pool_string(p->pool, text, (size_t)length);
}

/* Between '|', two or more. */
static int read_branches(struct parser *p, struct train_layer *layer, int depth)
{
    int count = count_separators(p->at, '|') + 1, r = 0;
    layer->inner = nn_pool_array(p->pool, (size_t)count, sizeof *layer->inner);
    if (!layer->inner)
        return no_memory(p);
    while (layer->inner_count < count && r == 0) {
        struct train_layer *branch = &layer->inner[layer->inner_count++];
        branch->place = place_of(p, layer->place, layer->inner_count);
        if (!branch->place)
            return no_memory(p);
        p->at += layer->inner_count > 1; /* the '|' */
        branch->inner_count = read_list(p, branch->place, depth, &branch->inner);
        r = branch->inner_count < 0 ? branch->inner_count : 0;
    }
    return r;
}

/* In parentheses. */
static int read_inner(struct parser *p, struct train_layer *layer, int depth)
{
    char usage[USAGE_MAX];
    bool branches = layer->kind->options & TRAIN_OPTION_BRANCHES;
    int r;
    p->at++;
    if (branches)
        r = read_branches(p, layer, depth + 1);
    else
        r = layer->inner_count = read_list(p, layer->place, depth + 1, &layer->inner);
    if (r < 0)
        return r;
    if (*p->at != ')' && *p->at != '|')
        return fail(p, layer, -EINVAL, "its '(' has no ')'");
    if (*p->at == '|' || (branches && layer->inner_count < 2))
        return fail(p, layer, -EINVAL, "it has %s: write %s",
                    branches ? "two branches or more" : "no branches",
                    train_layer_usage(layer->kind, usage, sizeof usage));
    p->at++;
    return 0;
}

/* What follows a layer's name, up to what ends the layer. */
static int read_rest(struct parser *p, struct train_layer *layer, int depth)
{
    const struct train_layer_kind *kind = layer->kind;
    char usage[USAGE_MAX];
    unsigned given = 0;
    bool wants_inner = kind->options & (TRAIN_OPTION_INNER | TRAIN_OPTION_BRANCHES);
    if ((peek(p) == '(') != wants_inner)
        return fail(p, layer, -EINVAL, "it has %s: write %s",
                    wants_inner ? "layers of its own, in parentheses" : "no layers of its own",
                    train_layer_usage(kind, usage, sizeof usage));
    int r = wants_inner ? read_inner(p, layer, depth) : 0;
    layer->dilation[0] = layer->dilation[1] = layer->groups = 1;
    for (int i = 0; i < TRAIN_LAYERS_ARGUMENTS && kind->arguments[i] && r == 0; i++)
        r = read_argument(p, layer, i);
    while (r == 0 && peek(p) && !strchr(";|)", *p->at)) {
        if (*p->at == '(')
            return fail(p, layer, -EINVAL, "there is a '(' where its options stand");
        r = read_option(p, layer, &given);
    }
    return r;
}

static int read_layer(struct parser *p, struct train_layer *layer, int depth)
{
    char word[WORD_MAX], words[WORDS_MAX];
    take_word(p, word);
    layer->kind = train_layer_kind_find(word);
    if (layer->kind)
        return read_rest(p, layer, depth);
    if (!*word)
        return fail(p, layer, -EINVAL, "there is '%.1s' where a layer's name should be", p->at);
    if (train_function_find(word))
        return fail(p, layer, -EINVAL,
                    "'%s' is a function: write 'activation %s', or name it behind a layer that "
                    "has one",
                    word, word);
    train_layer_words(word, words, sizeof words);
    return fail(p, layer, -EINVAL, "there is no layer '%s'%s%s; vigil train --layers lists all",
                word, *words ? ", but " : "", words);
}

/* Up to a '|', a ')' or the end, which is left there. Returns how many there are. */
static int read_list(struct parser *p, const char *place, int depth,
                     struct train_layer **ret_layers)
{
    if (depth > TRAIN_LAYERS_DEPTH_MAX)
        return nn_error_set(p->err, -E2BIG, "layer %s: over %d layers within each other", place,
                            TRAIN_LAYERS_DEPTH_MAX);
    int room = count_separators(p->at, ';') + 1, count = 0;
    p->layers += room;
    if (p->layers > TRAIN_LAYERS_MAX)
        return nn_error_set(p->err, -E2BIG, "there are over %d layers", TRAIN_LAYERS_MAX);
    struct train_layer *layers = nn_pool_array(p->pool, (size_t)room, sizeof *layers);
    if (!layers)
        return no_memory(p);
    for (;; p->at++) {
        struct train_layer *layer = &layers[count];
        layer->place = place_of(p, place, count + 1);
        if (!layer->place)
            return no_memory(p);
        /* The last ';' may end a layer instead of separating two. */
        if (count > 0 && (!peek(p) || strchr("|)", *p->at)))
            break;
        if (!peek(p))
            return fail(p, layer, -EINVAL, "the text ends where a layer should be");
        int r = read_layer(p, layer, depth);
        if (r < 0)
            return r;
        count++;
        if (peek(p) != ';')
            break;
    }
    *ret_layers = layers;
    return count;
}

int train_layers_parse(const char *text, struct nn_pool *pool, struct train_layer **ret_layers,
                       struct nn_error *err)
{
    if (strlen(text) > TRAIN_LAYERS_TEXT_MAX)
        return nn_error_set(err, -E2BIG, "the layers are over %d bytes of text",
                            TRAIN_LAYERS_TEXT_MAX);
    struct parser p = {.at = text, .pool = pool, .err = err};
    struct train_layer *layers;
    int count = read_list(&p, "", 1, &layers);
    if (count < 0)
        return count;
    if (*p.at)
        return fail(&p, &layers[count - 1], -EINVAL, "there is a '%c' without '('", *p.at);
    *ret_layers = layers;
    return count;
}
