/* Attention put together again: softmax(scale · Q · Kᵀ + mask) · V, of three or four
 * dimensions, with the scale on any of the three and the mask wherever it stands. */
#include <string.h>

#include "nn/recognise.h"

struct attention {
    int q, k, v, mask; /* mask: NN_VALUE_NONE without one */
    int transpose;     /* of the keys, which must bring the heads to the front still; -1 */
    double scale;
};

static bool has_perm(const struct nn_plan_node *node, int count, const int64_t *wanted)
{
    const struct nn_attribute *perm = nn_node_attribute(node->node, "perm");
    return perm && perm->count == count &&
           memcmp(perm->ints, wanted, (size_t)count * sizeof *wanted) == 0;
}

/* Keys as rows: what the Transpose that made columns of them read. */
static bool is_transposed(struct nn_recogniser *r, int columns, struct attention *a)
{
    static const int64_t three[] = {0, 2, 1}, four[] = {0, 1, 3, 2},
                         with_heads[] = {0, 2, 3, 1};
    const struct nn_plan_node *node = nn_recognise_part(r, columns, &nn_op_transpose, 1);
    if (!node)
        return false;
    a->k = node->inputs[0];
    a->transpose = -1;
    if (has_perm(node, 3, three) || has_perm(node, 4, four))
        return true;
    a->transpose = r->parts[--r->part_count];
    return has_perm(node, 4, with_heads);
}

/* scale · Q · Kᵀ, with the scale on any of the three. */
static bool is_scores(struct nn_recogniser *r, int value, struct attention *a)
{
    double on_q, on_k;
    int product, columns;
    nn_recognise_factor(r, value, 1, &product, &a->scale);
    const struct nn_plan_node *node = nn_recognise_part(r, product, &nn_op_matmul, 1);
    if (!node)
        return false;
    nn_recognise_factor(r, node->inputs[0], 1, &a->q, &on_q);
    nn_recognise_factor(r, node->inputs[1], 1, &columns, &on_k);
    a->scale *= on_q * on_k;
    return is_transposed(r, columns, a);
}

/* The scores, masked or not. */
static bool is_masked(struct nn_recogniser *r, int value, struct attention *a)
{
    int parts = r->part_count;
    const struct nn_plan_node *add = nn_recognise_part(r, value, &nn_op_add, 1);
    for (int i = 0; add && i < 2; i++) {
        a->mask = add->inputs[1 - i];
        r->part_count = parts + 1;
        if (is_scores(r, add->inputs[i], a))
            return true;
    }
    r->part_count = parts;
    a->mask = NN_VALUE_NONE;
    return is_scores(r, value, a);
}

static bool is_last_axis(const struct nn_recogniser *r, const struct nn_plan_node *softmax)
{
    int rank = nn_recognise_tensor(r, softmax->inputs[0])->shape.rank;
    int64_t wanted = nn_node_int(softmax->node, "axis", r->p->model->opset < 13 ? 1 : -1);
    return wanted == -1 || wanted == rank - 1;
}

/* What the operator takes: one batch and as many heads everywhere, and a mask of all keys that
 * adds neither queries nor keys. With three dimensions the batch is of heads. */
static bool fits(const struct nn_recogniser *r, const struct attention *a, int scores)
{
    const struct nn_shape *s = &nn_recognise_tensor(r, scores)->shape;
    const struct nn_shape *q = &nn_recognise_tensor(r, a->q)->shape,
                          *v = &nn_recognise_tensor(r, a->v)->shape;
    const struct nn_tensor *k = nn_recognise_tensor(r, a->k);
    int rank = s->rank;
    if ((rank != 3 && rank != 4) || q->rank != rank || v->rank != rank ||
        k->shape.rank != rank || nn_recognise_tensor(r, a->v)->type != NN_TYPE_FLOAT ||
        k->late || nn_recognise_tensor(r, a->v)->late)
        return false;
    int k_heads = a->transpose >= 0 ? 2 : 1, k_rows = a->transpose >= 0 ? 1 : rank - 2;
    for (int d = 0; d < rank - 2; d++)
        if (q->dim[d] != s->dim[d] || v->dim[d] != s->dim[d] ||
            k->shape.dim[d == 1 ? k_heads : d] != s->dim[d])
            return false;
    if (q->dim[rank - 2] != s->dim[rank - 2] || k->shape.dim[k_rows] != s->dim[rank - 1])
        return false;
    if (s->dim[rank - 1] < 1 || q->dim[rank - 1] < 1 || v->dim[rank - 1] < 1)
        return false;
    if (a->mask == NN_VALUE_NONE)
        return true;
    const struct nn_tensor *mask = nn_recognise_tensor(r, a->mask);
    int own = mask->shape.rank;
    return mask->type == NN_TYPE_FLOAT && !mask->late && own >= 1 &&
           own <= rank - (rank == 3) && mask->shape.dim[own - 1] == s->dim[rank - 1];
}

/* The Transpose of the keys brings the heads to the front and leaves rows as they are. */
static int turn_keys(struct nn_recogniser *r, struct attention *a)
{
    static const int64_t front[] = {0, 2, 1, 3};
    struct nn_planner *p = r->p;
    const struct nn_plan_node *old = p->nodes[a->transpose];
    struct nn_tensor keys = *nn_recognise_tensor(r, a->k);
    keys.shape.dim[1] = nn_recognise_tensor(r, a->k)->shape.dim[2];
    keys.shape.dim[2] = nn_recognise_tensor(r, a->k)->shape.dim[1];
    int value = nn_planner_add_value(p, &keys);
    if (value == NN_VALUE_NONE)
        return nn_planner_no_memory(p);
    struct nn_replacement n = {.op = &nn_op_transpose, .inputs = {a->k}, .input_count = 1};
    n.attributes[n.attribute_count++] = (struct nn_attribute){
        .name = "perm", .type = NN_ATTRIBUTE_INTS, .count = 4, .ints = front};
    struct nn_plan_node *node = nn_recognise_node(p, &n, old, value);
    if (!node)
        return nn_planner_no_memory(p);
    p->nodes[a->transpose] = node;
    a->k = value;
    return 0;
}

int nn_recognise_attention(struct nn_recogniser *r, int index)
{
    const struct nn_plan_node *node = r->p->nodes[index];
    struct attention a;
    r->part_count = 0;
    if (node->op != &nn_op_matmul)
        return 0;
    const struct nn_plan_node *softmax =
        nn_recognise_part(r, node->inputs[0], &nn_op_softmax, 1);
    a.v = node->inputs[1];
    if (!softmax || !is_last_axis(r, softmax) || !is_masked(r, softmax->inputs[0], &a) ||
        !fits(r, &a, softmax->inputs[0]) || r->p->value_count == r->p->value_capacity)
        return 0;
    int error = a.transpose >= 0 ? turn_keys(r, &a) : 0;
    if (error < 0)
        return error;
    struct nn_replacement n = {.op = &nn_op_attention,
                               .inputs = {a.q, a.k, a.v, a.mask},
                               .input_count = a.mask == NN_VALUE_NONE ? 3 : 4};
    nn_replacement_float(&n, "scale", (float)a.scale);
    if (nn_recognise_tensor(r, a.q)->shape.rank == 3) {
        nn_replacement_int(&n, "q_num_heads", 1);
        nn_replacement_int(&n, "kv_num_heads", 1);
    }
    return nn_recognise_replace(r, index, &n);
}
