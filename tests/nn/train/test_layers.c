/* Text to layers: what is read, and what is refused with which line. */
#include "nn/train/layers.h"
#include "nn/train/design.h"
#include "tests/suite.h"

#include <errno.h>
#include <string.h>

static int parse(const char *text, struct nn_pool *pool, struct train_layer **ret_layers)
{
    struct nn_error err = {{0}};
    nn_pool_init(pool, 1 << 20);
    int count = train_layers_parse(text, pool, ret_layers, &err);
    ck_assert_msg(count > 0, "%s: %s", text, err.text);
    return count;
}

START_TEST(layers_are_read_with_what_they_are_told)
{
    struct nn_pool pool;
    struct train_layer *l;
    int count = parse("conv2d 32 3x5 groups 2 same leaky_relu 0.25 stride 2 dilation 1x4;\n"
                      "\tmaxpool2d 2 ; time_distributed( flatten;dense 8 ;residual(dense 8)) ;"
                      "lstm 7 peepholes tanh return_sequences; reshape 4x-1; dropout .5;",
                      &pool, &l);
    ck_assert_int_eq(count, 6);
    ck_assert_str_eq(l[0].kind->type, "Conv2D");
    ck_assert_int_eq(l[0].units, 32);
    ck_assert(l[0].size[0] == 3 && l[0].size[1] == 5);
    ck_assert(l[0].stride[0] == 2 && l[0].stride[1] == 2);
    ck_assert(l[0].dilation[0] == 1 && l[0].dilation[1] == 4);
    ck_assert(l[0].groups == 2 && l[0].same);
    ck_assert_ptr_eq(l[0].function.kind, train_function_find("leaky_relu"));
    ck_assert_float_eq(l[0].function.alpha, 0.25f);

    ck_assert(l[1].size[0] == 2 && l[1].size[1] == 2 && l[1].stride[0] == 0 && !l[1].same);
    ck_assert_ptr_null(l[1].function.kind);

    ck_assert_int_eq(l[2].inner_count, 3);
    ck_assert_str_eq(l[2].inner[0].place, "3.1");
    ck_assert_str_eq(l[2].inner[2].inner[0].place, "3.3.1");
    ck_assert_int_eq(l[2].inner[2].inner[0].units, 8);

    ck_assert(l[3].units == 7 && l[3].peepholes && l[3].sequences);
    ck_assert(l[4].shape.rank == 2 && l[4].shape.dim[0] == 4 && l[4].shape.dim[1] == -1);
    ck_assert_double_eq(l[5].rate, 0.5);
    nn_pool_finish(&pool);
}
END_TEST

START_TEST(names_that_keras_uses_are_words_too)
{
    struct nn_pool pool;
    struct train_layer *l;
    ck_assert_int_eq(parse("max_pooling2d 2; batch_normalization", &pool, &l), 2);
    ck_assert_str_eq(l[0].kind->word, "maxpool2d");
    ck_assert_str_eq(l[1].kind->word, "batchnorm");
    nn_pool_finish(&pool);
}
END_TEST

START_TEST(branches_have_layers_of_their_own)
{
    struct nn_pool pool;
    struct train_layer *l;
    ck_assert_int_eq(parse("stacked(identity|grey; residual(dense 1 relu);| stacked(grey |grey)"
                           ") ;flatten",
                           &pool, &l),
                     2);
    ck_assert_int_eq(l[0].inner_count, 3);
    const struct train_layer *b = l[0].inner;
    ck_assert(b[0].inner_count == 1 && b[1].inner_count == 2 && b[2].inner_count == 1);
    ck_assert_ptr_null(b[1].kind);
    ck_assert_str_eq(b[1].inner[0].kind->word, "grey");
    ck_assert_str_eq(b[1].inner[1].place, "1.2.2");
    ck_assert_str_eq(b[1].inner[1].inner[0].place, "1.2.2.1");
    ck_assert_int_eq(b[2].inner[0].inner_count, 2);
    ck_assert_str_eq(b[2].inner[0].inner[1].inner[0].place, "1.3.1.2.1");
    nn_pool_finish(&pool);
}
END_TEST

START_TEST(a_number_follows_only_functions_that_have_one)
{
    struct nn_pool pool;
    struct train_layer *l;
    parse("dense 3 elu; dense 3 elu 2; activation leaky_relu", &pool, &l);
    ck_assert_float_eq(l[0].function.alpha, 1);
    ck_assert_float_eq(l[1].function.alpha, 2);
    ck_assert_float_eq(l[2].function.alpha, 0.3f);
    nn_pool_finish(&pool);
}
END_TEST

/* The table is what find, words and usage speak of. */
START_TEST(every_kind_is_found_listed_and_explained)
{
    char words[1024], usage[256], previous[64] = "";
    for (size_t i = 0; train_layer_kind_at(i); i++) {
        const struct train_layer_kind *kind = train_layer_kind_at(i);
        ck_assert_msg(strcmp(previous, kind->word) < 0, "%s is out of order", kind->word);
        snprintf(previous, sizeof previous, "%s", kind->word);
        ck_assert_ptr_eq(train_layer_kind_find(kind->word), kind);
        ck_assert_ptr_eq(train_layer_kind_find(kind->name), kind);
        ck_assert_ptr_nonnull(
            strstr(train_layer_words(kind->word, words, sizeof words), kind->word));
        train_layer_usage(kind, usage, sizeof usage);
        ck_assert(strncmp(usage, kind->word, strlen(kind->word)) == 0);
    }
    ck_assert_str_eq(
        train_layer_usage(train_layer_kind_find("conv2d"), usage, sizeof usage),
        "conv2d FILTERS SIZE [stride S] [same|valid] [dilation D] [groups G] [FUNCTION]");
    ck_assert_str_eq(train_layer_usage(train_layer_kind_find("lstm"), usage, sizeof usage),
                     "lstm UNITS [return_sequences] [peepholes] [FUNCTION]");
    ck_assert_str_eq(train_layer_usage(train_layer_kind_find("residual"), usage, sizeof usage),
                     "residual(LAYERS)");
    /* Cut, with its NUL. */
    ck_assert_str_eq(train_layer_usage(train_layer_kind_find("lstm"), usage, 8), "lstm UN");
}
END_TEST

static const struct {
    const char *input, *layers;
    int code;
    const char *says[3]; /* parts of the line */
} refused[] = {
    /* the text */
    {"28x28x1",
     "conv9d 3",
     -EINVAL,
     {"layer 1: there is no layer 'conv9d', but conv1d, conv2d, conv2d_transpose; vigil "
      "train"}},
    {"28x28x1", "lstn 3", -EINVAL, {"no layer 'lstn', but lstm; vigil train --layers lists"}},
    {"28x28x1",
     "xyz",
     -EINVAL,
     {"layer 1: there is no layer 'xyz'; vigil train --layers lists"}},
    {"28x28x1", "", -EINVAL, {"layer 1: the text ends where a layer should be"}},
    {"28x28x1", "flatten;;dense 3", -EINVAL, {"layer 2: there is ';' where a layer's name"}},
    {"28x28x1", "flatten; relu", -EINVAL, {"layer 2: 'relu' is a function: write 'activation"}},
    {"28x28x1",
     "flatten; dense",
     -EINVAL,
     {"layer 2 'dense': UNITS is missing: write dense UNITS [FUNCTION]"}},
    {"28x28x1",
     "flatten; dense x",
     -EINVAL,
     {"UNITS is 'x', not a whole number from 1 to 16777216"}},
    {"28x28x1", "flatten; dense 0", -EINVAL, {"UNITS is '0'"}},
    {"28x28x1", "flatten; dense -3", -EINVAL, {"UNITS is '-3'"}},
    {"28x28x1", "flatten; dense 16777217", -EINVAL, {"UNITS is '16777217'"}},
    {"28x28x1", "flatten; dense 99999999999999999999999", -EINVAL, {"UNITS is '999"}},
    {"28x28x1", "flatten; dense 3 3", -EINVAL, {"layer 2 'dense': it has no '3': write dense"}},
    {"28x28x1", "flatten; dense 3 rule", -EINVAL, {"it has no 'rule'"}},
    {"28x28x1", "flatten; dense 3 stride 2", -EINVAL, {"it has no 'stride': write dense"}},
    {"28x28x1", "flatten; dense 3 relu tanh", -EINVAL, {"'tanh' is said twice"}},
    {"28x28x1", "conv2d 3 3 same valid", -EINVAL, {"'valid' is said twice, or against"}},
    {"28x28x1", "conv2d 3 3x", -EINVAL, {"SIZE is '3x', not a number, or HxW, from 1 to 4096"}},
    {"28x28x1", "conv2d 3 3x3x3", -EINVAL, {"SIZE is '3x3x3'"}},
    {"28x28x1", "conv2d 3 5000", -EINVAL, {"SIZE is '5000'"}},
    {"28x28x1", "conv2d 3 3 stride", -EINVAL, {"stride is missing: write conv2d FILTERS"}},
    {"28x28x1", "conv2d 3 3 stride 0", -EINVAL, {"stride is '0'"}},
    {"28x28x1", "conv2d 3 3 groups two", -EINVAL, {"groups is 'two'"}},
    {"100x1", "conv1d 3 3x3", -EINVAL, {"SIZE is '3x3', not a number from"}},
    {"28x28x1", "dropout 1", -EINVAL, {"RATE is '1', not a number from 0 to below 1"}},
    {"28x28x1", "dropout nan", -EINVAL, {"RATE is 'nan'"}},
    {"28x28x1", "activation", -EINVAL, {"there is no function ''; there are elu, gelu"}},
    {"28x28x1", "activation cube", -EINVAL, {"no function 'cube'; there are elu", "tanh"}},
    {"28x28x1", "reshape 2x-1x-1", -EINVAL, {"SHAPE is '2x-1x-1', not one to four numbers"}},
    {"28x28x1", "reshape 1x2x3x4x5", -EINVAL, {"SHAPE is"}},
    {"28x28x1", "flatten (dense 3)", -EINVAL, {"'flatten': it has no layers of its own"}},
    {"28x28x1", "rescaling 0", -EINVAL, {"FACTOR is '0', not a number above 0"}},
    {"28x28x1", "rescaling", -EINVAL, {"FACTOR is missing: write rescaling FACTOR"}},
    {"28x28x1", "residual", -EINVAL, {"'residual': it has layers of its own, in parentheses"}},
    {"28x28x1", "residual()", -EINVAL, {"layer 1.1: there is ')' where a layer's name"}},
    {"28x28x1", "residual(dense 3", -EINVAL, {"layer 1 'residual': its '(' has no ')'"}},
    {"28x28x1", "flatten; dense 3)", -EINVAL, {"layer 2 'dense': there is a ')' without '('"}},
    {"28x28x1", "dense 3 (", -EINVAL, {"there is a '(' where its options stand"}},
    {"8x8x3",
     "stacked(identity)",
     -EINVAL,
     {"'stacked': it has two branches or more: write stacked(LAYERS | LAYERS ...)"}},
    {"8x8x3", "stacked(identity | )", -EINVAL, {"layer 1.2.1: there is ')' where a layer's"}},
    {"8x8x3", "stacked( | identity)", -EINVAL, {"layer 1.1.1: there is '|' where a layer's"}},
    {"8x8x3", "stacked(grey; | identity", -EINVAL, {"'stacked': its '(' has no ')'"}},
    {"8x8x3", "stacked(grey |", -EINVAL, {"layer 1.2.1: the text ends where a layer should"}},
    {"8x8x3", "stacked", -EINVAL, {"'stacked': it has layers of its own, in parentheses"}},
    {"8x8x3",
     "stacked(grey | dense 3; dense 3 relu swish)",
     -EINVAL,
     {"layer 1.2.2 'dense': 'swish' is said twice"}},
    {"8x8x3", "residual(grey | grey)", -EINVAL, {"it has no branches: write residual(LAYERS)"}},
    {"8x8x3", "dense 3 | dense 4", -EINVAL, {"layer 1 'dense': there is a '|' without '('"}},
    {"8x8x3", "dense 3|4", -EINVAL, {"there is a '|' without '('"}},
    {"8x6", "background_difference 1", -EINVAL, {"RATE is '1', not a number from 0 to below"}},
    {"8x6", "frame_difference relu", -EINVAL, {"no 'relu': write frame_difference [absolute]"}},
    {"8x6", "frame_difference absolute absolute", -EINVAL, {"'absolute' is said twice"}},
    {"8x8x3",
     "stacked(grey | stacked(grey | stacked(grey | stacked(grey | stacked(grey | stacked(grey "
     "| "
     "stacked(grey | stacked(grey | grey))))))))",
     -E2BIG,
     {"over 8 layers within each other"}},
    {"28x28x1",
     "residual(residual(residual(residual(residual(residual(residual(residual(dense 1))))))))",
     -E2BIG,
     {"over 8 layers within each other"}},
    {"28x28x1",
     "residual(flatten; dense 3; lstm 4 relu swish)",
     -EINVAL,
     {"layer 1.3 'lstm': 'swish' is said twice"}},
    /* the input */
    {"28x28x", "flatten", -EINVAL, {"the input '28x28x' is no shape: write 16x64x64x3"}},
    {"", "flatten", -EINVAL, {"the input '' is no shape"}},
    {"2x2x2x2x2", "flatten", -EINVAL, {"is no shape"}},
    {"28x-1x3", "flatten", -EINVAL, {"is no shape"}},
    {"28 28", "flatten", -EINVAL, {"is no shape"}},
    {"65536x65536x16", "flatten", -E2BIG, {"the input 65536x65536x16 is over 268435456"}},
    /* what does not fit together */
    {"100x1",
     "conv2d 3 3",
     -EINVAL,
     {"layer 1 'conv2d': it reads pictures, HEIGHTxWIDTHxCHANNELS, not 100x1"}},
    {"16x64x64x3",
     "conv2d 3 3",
     -EINVAL,
     {"not 16x64x64x3; put it into time_distributed(...)"}},
    {"28x28x1", "lstm 3", -EINVAL, {"it reads sequences, TIMExFEATURES, not 28x28x1"}},
    {"784", "time_distributed(dense 3)", -EINVAL, {"its input has no time"}},
    {"28x28x1", "embedding 100 8", -EINVAL, {"it reads lists of token numbers, not 28x28x1"}},
    {"8x8x1",
     "conv2d 3 3; conv2d 3 7",
     -EINVAL,
     {"layer 2 'conv2d': its windows reach over 7 places, its input has 6", "write 'same'"}},
    {"8x8x1", "conv2d 3 3 dilation 4", -EINVAL, {"reach over 9 places, its input has 8"}},
    {"8x8x6", "conv2d 8 3 groups 4", -EINVAL, {"4 groups divide neither or only one of 6"}},
    {"8x8x6", "conv2d 9 3 groups 2", -EINVAL, {"2 groups divide"}},
    {"8x8x6", "reshape 7x-1", -EINVAL, {"8x8x6 cannot be reshaped to 7x-1"}},
    {"8x8x6", "reshape 8x8x7", -EINVAL, {"8x8x6 cannot be reshaped to 8x8x7"}},
    {"8x6", "permute 1x1", -EINVAL, {"1x1 does not name each axis of 8x6 once"}},
    {"8x6", "permute 1x3", -EINVAL, {"1x3 does not name each axis of 8x6 once"}},
    {"8x6", "permute 1", -EINVAL, {"1 does not name each axis of 8x6 once"}},
    {"8x8x6",
     "residual(conv2d 6 3)",
     -EINVAL,
     {"layer 1 'residual': its layers make 6x6x6 of 8x8x6: only equal shapes can be added"}},
    {"8x8x6",
     "grey",
     -EINVAL,
     {"layer 1 'grey': it reads pictures of 3 channels", "not 8x8x6"}},
    {"8x3", "grey", -EINVAL, {"not 8x3"}},
    {"64x64x3", "frame_difference", -EINVAL, {"it reads windows, TIMEx", "not 64x64x3"}},
    {"64", "background_difference 0.1", -EINVAL, {"it reads windows", "not 64"}},
    {"1025x2",
     "background_difference 0.1",
     -EINVAL,
     {"at most 1024 steps, its input has 1025"}},
    {"8x8x3",
     "flatten; stacked(dense 2 | reshape 8x8x3)",
     -EINVAL,
     {"layer 2 'stacked': branch 2 makes 8x8x3, the first 2: only their channels may differ"}},
    {"8x8x3",
     "stacked(identity | maxpool2d 2)",
     -EINVAL,
     {"branch 2 makes 4x4x3, the first 8"}},
    {"8",
     "stacked(embedding 9 2 | reshape 8x1)",
     -EINVAL,
     {"branch 2 does not begin with emb"}},
    {"8x6", "bidirectional(dense 3)", -EINVAL, {"it goes around one lstm, gru or simple_rnn"}},
    {"8x6", "bidirectional(lstm 3; lstm 3)", -EINVAL, {"it goes around one"}},
    {"8x6", "lstm 3 swish", -EINVAL, {"may be relu, sigmoid, softplus or tanh, no other"}},
    {"4x4x4x4", "time_distributed(reshape 2x2x4x4)", -EINVAL, {"over 4 axes with time"}},
    /* sizes */
    {"224x224x3",
     "conv2d 32 3 relu; maxpool2d 2; flatten; dense 1024 relu; dense 10",
     -E2BIG,
     {"layer 4 'dense': its weight, 394272x1024, makes the network larger than 496 MiB"}},
    {"16777216", "dense 16777216", -E2BIG, {"layer 1 'dense': its weight, 16777216x16777216"}},
    {"4096x4096x16", "upsampling2d 4096", -E2BIG, {"it would make 16777216x16777216x16, over"}},
    {"4096x4096x16",
     "zero_padding2d 4096; upsampling2d 4096; upsampling2d 4096",
     -E2BIG,
     {"layer 1 'zero_padding2d': it would make 12288x12288x16"}},
    {"64x64x3",
     "conv2d 16777216 4096 same",
     -E2BIG,
     {"its weight, 16777216x3x4096x4096, makes the network larger"}},
    {"64x8",
     "multi_head_attention 16777216 16777216",
     -E2BIG,
     {"layer 1 'multi_head_attention'"}},
    {"64x8", "lstm 16777216", -E2BIG, {"layer 1 'lstm': its weight, 1x67108864x8"}},
};

START_TEST(what_is_wrong_is_said_in_one_line)
{
    struct train_design *design = NULL;
    struct nn_error err = {{0}};
    const char *text = refused[_i].layers;
    int r = train_design_create(refused[_i].input, text, 1, &design, &err);
    ck_assert_msg(r == refused[_i].code, "'%s' gives %d: %s", text, r, err.text);
    ck_assert_ptr_null(design);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    for (int i = 0; i < 3 && refused[_i].says[i]; i++)
        ck_assert_msg(strstr(err.text, refused[_i].says[i]), "'%s' gives '%s'", text, err.text);
    /* Nobody has to listen. */
    ck_assert_int_eq(train_design_create(refused[_i].input, text, 1, &design, NULL), r);
}
END_TEST

START_TEST(texts_and_lists_have_an_end)
{
    struct train_design *design = NULL;
    struct nn_error err = {{0}};
    char *text = malloc(TRAIN_LAYERS_TEXT_MAX + 2);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', TRAIN_LAYERS_TEXT_MAX + 1);
    text[TRAIN_LAYERS_TEXT_MAX + 1] = '\0';
    ck_assert_int_eq(train_design_create("8", text, 1, &design, &err), -E2BIG);
    ck_assert_ptr_nonnull(strstr(err.text, "over 65536 bytes"));

    memset(text, ';', 2000);
    text[2000] = '\0';
    ck_assert_int_eq(train_design_create("8", text, 1, &design, &err), -E2BIG);
    ck_assert_ptr_nonnull(strstr(err.text, "over 1000 layers"));

    /* As many as there may be. */
    char *at = text;
    for (int i = 0; i < TRAIN_LAYERS_MAX; i++)
        at += sprintf(at, "%sdense 2", i > 0 ? ";" : "");
    ck_assert_int_eq(train_design_create("2", text, 1, &design, &err), 0);
    ck_assert_uint_eq(train_design_row_count(design), TRAIN_LAYERS_MAX);
    train_design_destroy(design);
    free(text);
}
END_TEST

/* Every beginning of a text is read or refused, and nothing else happens. */
START_TEST(a_text_may_be_cut_anywhere)
{
    static const char whole[] =
        "stacked(identity | frame_difference absolute; background_difference 0.5 | identity); "
        "time_distributed(conv2d 2 3x3 stride 2 same leaky_relu 0.2; maxpool2d 2; flatten); "
        "bidirectional(lstm 3 return_sequences); multi_head_attention 2 4; permute 2x1; "
        "reshape 8x-1; dropout 0.5; dense 2 softmax";
    int good = 0;
    for (size_t length = 0; length < sizeof whole; length++) {
        struct train_design *design = NULL;
        struct nn_error err = {{0}};
        char *text = strndup(whole, length);
        int r = train_design_create("4x16x16x1", text, 1, &design, &err);
        ck_assert_msg(r == 0 || (r == -EINVAL && err.text[0]), "'%s': %d", text, r);
        good += r == 0;
        train_design_destroy(design);
        free(text);
    }
    ck_assert_int_ge(good, 5);
}
END_TEST

int main(void)
{
    TCase *read = tcase_create("read");
    tcase_add_test(read, layers_are_read_with_what_they_are_told);
    tcase_add_test(read, names_that_keras_uses_are_words_too);
    tcase_add_test(read, branches_have_layers_of_their_own);
    tcase_add_test(read, a_number_follows_only_functions_that_have_one);
    tcase_add_test(read, every_kind_is_found_listed_and_explained);
    TCase *refuse = tcase_create("refuse");
    tcase_add_loop_test(refuse, what_is_wrong_is_said_in_one_line, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_test(refuse, texts_and_lists_have_an_end);
    tcase_add_test(refuse, a_text_may_be_cut_anywhere);
    TCase *cases[] = {read, refuse};
    return suite_run("nn/train/layers", cases, 2);
}
