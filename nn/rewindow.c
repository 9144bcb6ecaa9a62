#include "nn/rewindow.h"

#include <errno.h>
#include <string.h>

/* The target of a Reshape that is a constant input, as it is written. A shape that is an
 * attribute (opsets before 5) is left alone. */
static bool read_target(const struct nn_planner *p, const struct nn_plan_node *node,
                        struct nn_shape *ret_target)
{
    if (node->op != &nn_op_reshape || node->input_count < 2 || node->inputs[1] == NN_VALUE_NONE)
        return false;
    const struct nn_tensor *t = &p->values[node->inputs[1]].tensor;
    int64_t rank = nn_shape_count(&t->shape);
    if (!t->data || t->type != NN_TYPE_INT64 || t->shape.rank != 1 || rank > NN_MAX_RANK)
        return false;
    ret_target->rank = (int)rank;
    memcpy(ret_target->dim, t->data, (size_t)rank * sizeof *ret_target->dim);
    return true;
}

/* Where time stands as a number, not as "whatever is left" (-1) or "as before" (0). */
static void note_target(struct nn_rewindow *rw, const struct nn_planner *p,
                        const struct nn_plan_node *node)
{
    struct nn_shape target;
    if (node->node->number >= p->model->node_count || !read_target(p, node, &target))
        return;
    int axis = p->axis[node->outputs[0]];
    if (target.dim[axis] <= 0 || target.dim[axis] % rw->own != 0)
        return;
    target.dim[axis] = target.dim[axis] / rw->own * rw->frames;
    rw->targets[node->node->number] = target;
}

int nn_rewindow_init(struct nn_rewindow *rewindow, int64_t frames, struct nn_planner *survey)
{
    const struct nn_model *m = survey->model;
    *rewindow = (struct nn_rewindow){.frames = frames, .own = survey->frames};
    nn_pool_init(&rewindow->pool, (size_t)m->node_count * sizeof(struct nn_shape) +
                                      (size_t)m->output_count * sizeof(struct nn_shape) +
                                      ((size_t)1 << 20));
    rewindow->targets =
        nn_pool_array(&rewindow->pool, (size_t)m->node_count, sizeof *rewindow->targets);
    rewindow->outputs =
        nn_pool_array(&rewindow->pool, (size_t)m->output_count, sizeof *rewindow->outputs);
    if (!rewindow->targets || !rewindow->outputs)
        return nn_planner_no_memory(survey);
    for (int i = 0; i < survey->node_count; i++)
        if (survey->in_frame[i])
            note_target(rewindow, survey, survey->nodes[i]);
    for (int i = 0; i < m->output_count; i++) {
        struct nn_shape shape = survey->values[m->outputs[i]].tensor.shape;
        int time = survey->axis[m->outputs[i]];
        if (time != NN_TIME_NONE)
            shape.dim[time] = shape.dim[time] / rewindow->own * frames;
        rewindow->outputs[i] = shape;
    }
    return 0;
}

void nn_rewindow_finish(struct nn_rewindow *rewindow)
{
    nn_pool_finish(&rewindow->pool);
}

int nn_rewindow_apply(const struct nn_rewindow *rewindow, struct nn_planner *p,
                      struct nn_plan_node *node)
{
    const struct nn_shape *target = node->node->number < p->model->node_count
                                        ? &rewindow->targets[node->node->number]
                                        : NULL;
    if (!target || target->rank == 0)
        return 0;
    struct nn_tensor constant = {.type = NN_TYPE_INT64,
                                 .shape = {.rank = 1, .dim = {target->rank}}};
    int r = nn_planner_reserve(p, 1);
    if (r < 0)
        return r;
    constant.data = nn_pool_array(p->pool, (size_t)target->rank, sizeof *target->dim);
    if (!constant.data)
        return nn_planner_no_memory(p);
    memcpy(constant.data, target->dim, (size_t)target->rank * sizeof *target->dim);
    node->inputs[1] = nn_planner_add_constant(p, &constant);
    return 0;
}

int nn_rewindow_check(const struct nn_rewindow *rewindow, struct nn_planner *p)
{
    const struct nn_model *m = p->model;
    for (int i = 0; i < m->output_count; i++)
        if (!nn_shape_equal(&p->values[m->outputs[i]].tensor.shape, &rewindow->outputs[i]))
            return nn_error_set(p->err, -ENOTSUP,
                                "output '%.80s' changes its shape with the window: the model "
                                "runs with windows of %lld frames only",
                                m->output_info[i].name, (long long)rewindow->own);
    return 0;
}
