/* Einsum against its definition: a sum over every dimension that the output does not have. */
#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

enum { MAX_TERMS = 4 };

/* Lower-case letters only; the extent of each. */
struct sum {
    int terms;
    char term[MAX_TERMS][8], output[8];
    int64_t extent[26];
    float values[MAX_TERMS][4096];
};

static struct onnx_dims dims_of(const struct sum *s, const char *term)
{
    struct onnx_dims dims = {0};
    for (; *term; term++)
        dims.dim[dims.rank++] = s->extent[*term - 'a'];
    return dims;
}

static int64_t place_of(const struct sum *s, const char *term, const int64_t *at)
{
    int64_t place = 0;
    for (; *term; term++)
        place = place * s->extent[*term - 'a'] + at[*term - 'a'];
    return place;
}

/* Every index of every letter that is used, each adding one product. */
static void add_up(const struct sum *s, double *to)
{
    int64_t at[26] = {0};
    for (;;) {
        double product = 1;
        for (int t = 0; t < s->terms; t++)
            product *= (double)s->values[t][place_of(s, s->term[t], at)];
        to[place_of(s, s->output, at)] += product;
        int letter = 25;
        while (letter >= 0 && (s->extent[letter] == 0 || ++at[letter] == s->extent[letter]))
            at[letter--] = 0;
        if (letter < 0)
            return;
    }
}

static void check(const struct sum *s, const char *equation)
{
    struct onnx o = onnx_start(13);
    char inputs[2 * MAX_TERMS + 1] = "";
    for (int t = 0; t < s->terms; t++) {
        char name[] = {(char)('p' + t), 0};
        onnx_input(&o, name, 1, dims_of(s, s->term[t]));
        strcat(inputs, t ? " " : "");
        strcat(inputs, name);
    }
    onnx_node(&o, "Einsum", inputs, "y");
    onnx_attribute_text(&o, "equation", equation);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    for (int t = 0; t < s->terms; t++)
        net_set(&net, (size_t)t, s->values[t]);
    net_run(&net);
    struct onnx_dims dims = dims_of(s, s->output);
    size_t count = onnx_dims_count(dims);
    double *want = calloc(count + 1, sizeof *want);
    add_up(s, want);
    net_expect_shape(&net, 0, dims);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)net_floats(&net, 0)[i] - want[i]) <= 1e-4,
                      "%s: element %zu is %g, not %g", equation, i,
                      (double)net_floats(&net, 0)[i], want[i]);
    free(want);
    net_free(&net);
}

START_TEST(random_equations_agree_with_their_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 150; n++) {
        struct sum s = {.terms = (int)net_pick(&seed, 1, MAX_TERMS)};
        char equation[64] = "";
        for (int t = 0; t < s.terms; t++) {
            int rank = (int)net_pick(&seed, 0, 4);
            for (int d = 0; d < rank; d++)
                s.term[t][d] = (char)('a' + net_pick(&seed, 0, 5));
            for (int d = 0; d < rank; d++)
                s.extent[s.term[t][d] - 'a'] = 1;
        }
        for (int letter = 0; letter < 26; letter++)
            if (s.extent[letter])
                s.extent[letter] = net_pick(&seed, 1, 4);
        for (int letter = 5, length = 0; letter >= 0; letter--)
            if (s.extent[letter] && net_pick(&seed, 0, 1)) {
                int at = (int)net_pick(&seed, 0, length);
                memmove(s.output + at + 1, s.output + at, (size_t)(length++ - at));
                s.output[at] = (char)('a' + letter);
            }
        for (int t = 0; t < s.terms; t++) {
            net_fill(s.values[t], 4096, seed + (uint32_t)t);
            strcat(equation, t ? ", " : "");
            strcat(equation, s.term[t]);
        }
        strcat(equation, " -> ");
        strcat(equation, s.output);
        check(&s, equation);
    }
}
END_TEST

/* What networks write: each lies right for a product, straight or transposed, or is packed. */
START_TEST(equations_of_networks)
{
    static const struct {
        const char *equation, *terms[3], *output;
    } cases[] = {
        {"bhqd,bhkd->bhqk", {"bhqd", "bhkd"}, "bhqk"},
        {"bhqk,bhkd->bqhd", {"bhqk", "bhkd"}, "bqhd"},
        {"bqhd,bkhd->bhqk", {"bqhd", "bkhd"}, "bhqk"},
        {"ab,ab->ab", {"ab", "ab"}, "ab"},
        {"ab,b->a", {"ab", "b"}, "a"},
        {"a,b->ab", {"a", "b"}, "ab"},
        {"aab->b", {"aab"}, "b"},
        {"ab,bc,cd", {"ab", "bc", "cd"}, "ad"},
        {"ba", {"ba"}, "ab"},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        struct sum s = {0};
        for (int t = 0; t < 3 && cases[n].terms[t]; t++) {
            strcpy(s.term[s.terms], cases[n].terms[t]);
            net_fill(s.values[s.terms++], 4096, (uint32_t)n);
            for (const char *c = cases[n].terms[t]; *c; c++)
                s.extent[*c - 'a'] = 2 + (*c - 'a') % 4;
        }
        strcpy(s.output, cases[n].output);
        check(&s, cases[n].equation);
    }
}
END_TEST

static struct net two_operands(const char *equation, struct onnx_dims a, struct onnx_dims b)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, a);
    onnx_input(&o, "b", 1, b);
    onnx_node(&o, "Einsum", "a b", "y");
    onnx_attribute_text(&o, "equation", equation);
    onnx_output(&o, "y", 1, SCALAR);
    return net_make(&o);
}

START_TEST(an_ellipsis_stands_for_dimensions_that_broadcast)
{
    struct net net = two_operands("...ij, ...j -> ...i", DIMS(2, 1, 2, 2), DIMS(3, 2));
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6, 7, 8});
    net_set(&net, 1, (float[]){1, 0, 0, 1, 1, 1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 3, 2), (float[]){1, 3, 2, 4, 3, 7, 5, 7, 6, 8, 11, 15});
    net_free(&net);
    /* Without an arrow it comes first; capitals are other letters, before the small. */
    net = two_operands("b...A,A", DIMS(2, 3, 2), DIMS(2));
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    net_set(&net, 1, (float[]){1, -1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3, 2), (float[]){-1, -1, -1, -1, -1, -1});
    net_free(&net);
}
END_TEST

START_TEST(a_dimension_of_one_repeats)
{
    struct net net = two_operands("ij,jk->ik", DIMS(2, 1), DIMS(3, 1));
    net_set(&net, 0, (float[]){2, 3});
    net_set(&net, 1, (float[]){1, 10, 100});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 1), (float[]){222, 333});
    net_free(&net);
}
END_TEST

START_TEST(a_sum_over_nothing_is_zero)
{
    struct net net = two_operands("ij,jk->ik", DIMS(2, 0), DIMS(0, 2));
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){0, 0, 0, 0});
    net_free(&net);
}
END_TEST

START_TEST(impossible_equations_are_refused)
{
    static const struct {
        const char *equation, *text;
    } cases[] = {{"ij", "does not fit operand 0"},
                 {"ij,jk,kl", "does not fit operand 1"},
                 {"i,jk->ik", "does not fit operand 0"},
                 {"ijk,jk->ik", "does not fit operand 0"},
                 {"ij,j...k...->ik", "fit operand 1"},
                 {"i.,jk->ik", "does not fit operand 0"},
                 {"ij,jk->ii", "output is impossible"},
                 {"ij,jk->iz", "output is impossible"},
                 {"...j,jk->k", "output is impossible"},
                 {"ij,jk->i,k", "output is impossible"},
                 {"ij,jk-ik", "output is impossible"},
                 {"ij,jk->i1", "output is impossible"},
                 {"ij,ki->jk", "2 in one place, 3 in another"},
                 {"abcdefghi,jk->jk", "does not fit operand 0"},
                 {"", "does not fit operand 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 1, DIMS(2, 4));
        onnx_input(&o, "b", 1, DIMS(4, 3));
        onnx_node(&o, "Einsum", "a b", "y");
        onnx_attribute_text(&o, "equation", cases[i].equation);
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
    struct onnx o = onnx_start(13);
    char longest[1025];
    memset(longest, ' ', 1024);
    memcpy(longest + 1018, "ij->ji", 7);
    onnx_input(&o, "a", 1, DIMS(2, 4));
    onnx_node(&o, "Einsum", "a", "y");
    onnx_attribute_text(&o, "equation", longest);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(4, 2));
    net_free(&net);
}
END_TEST

START_TEST(products_on_the_way_are_bounded)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(1, 1, 1, 1, 1));
    onnx_node(&o, "Einsum", "a a", "y");
    onnx_attribute_text(&o, "equation", "abcde,fghij->");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o); /* what nobody needs is summed first */
    net_free(&net);
    o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(1, 1, 1, 1, 1));
    onnx_node(&o, "Einsum", "a a a a", "y");
    onnx_attribute_text(&o, "equation", "abcde,fghij,abcde,fghij->");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "a product on the way has over 8 dimensions");
    o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(65536));
    onnx_node(&o, "Einsum", "a a a a", "y");
    onnx_attribute_text(&o, "equation", "a,b,a,b->");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -E2BIG, "a product on the way would be too large");
}
END_TEST

static TCase *einsum_case(void)
{
    TCase *c = tcase_create("einsum");
    tcase_add_loop_test(c, random_equations_agree_with_their_definition, 0, 4);
    tcase_add_test(c, equations_of_networks);
    tcase_add_test(c, an_ellipsis_stands_for_dimensions_that_broadcast);
    tcase_add_test(c, a_dimension_of_one_repeats);
    tcase_add_test(c, a_sum_over_nothing_is_zero);
    tcase_add_test(c, impossible_equations_are_refused);
    tcase_add_test(c, products_on_the_way_are_bounded);
    return c;
}

int main(void)
{
    TCase *cases[] = {einsum_case()};
    return suite_run("nn/einsum", cases, 1);
}
