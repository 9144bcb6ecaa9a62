/* NonMaxSuppression: of boxes that overlap too much, the one with the higher score; of equal
 * scores, the one that comes first. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/op.h"

enum { BOXES, SCORES, MOST, IOU, SCORE };

struct candidate {
    float score;
    int32_t box;
};

/* left, top, right, bottom */
struct corners {
    float low[2], high[2];
};

/* A limit that may be left out: a scalar, or a list of one. */
static int check_limit(const struct nn_op_call *call, int index, enum nn_type type,
                       const char *what)
{
    if (!nn_op_has_input(call, index))
        return 0;
    const struct nn_tensor *t = &call->inputs[index];
    if (t->type != type)
        return nn_op_fail(call, -EINVAL, "%s is %s, not %s", what, nn_type_name(t->type),
                          nn_type_name(type));
    return nn_shape_count(&t->shape) == 1 && t->shape.rank <= 1
               ? 0
               : nn_op_fail(call, -EINVAL, "%s is not a single number", what);
}

/* Boxes kept of one class: none unless a limit is given; what is not known yet is no limit. */
static int64_t most_boxes(const struct nn_op_call *call)
{
    int64_t boxes = call->inputs[BOXES].shape.dim[1];
    if (!nn_op_has_input(call, MOST))
        return 0;
    const int64_t *most = call->inputs[MOST].data;
    if (!most || *most >= boxes)
        return boxes;
    return *most > 0 ? *most : 0;
}

static int infer(struct nn_op_call *call)
{
    const struct nn_shape *boxes = &call->inputs[BOXES].shape,
                          *scores = &call->inputs[SCORES].shape;
    int r = nn_op_require_type(call, BOXES, NN_TYPE_FLOAT);
    if (r == 0)
        r = nn_op_require_type(call, SCORES, NN_TYPE_FLOAT);
    if (r == 0)
        r = check_limit(call, MOST, NN_TYPE_INT64, "max_output_boxes_per_class");
    if (r == 0)
        r = check_limit(call, IOU, NN_TYPE_FLOAT, "iou_threshold");
    if (r == 0)
        r = check_limit(call, SCORE, NN_TYPE_FLOAT, "score_threshold");
    if (r < 0)
        return r;
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dim[2] != 4 ||
        boxes->dim[0] != scores->dim[0] || boxes->dim[1] != scores->dim[2])
        return nn_op_fail(call, -EINVAL,
                          "boxes must be (batch, boxes, 4) and scores (batch, classes, boxes)");
    struct nn_tensor *out = &call->outputs[0];
    out->type = NN_TYPE_INT64;
    out->late = true;
    out->shape = (struct nn_shape){.rank = 2, .dim = {0, 3}};
    if (__builtin_mul_overflow(scores->dim[0], scores->dim[1], &out->shape.dim[0]) ||
        __builtin_mul_overflow(out->shape.dim[0], most_boxes(call), &out->shape.dim[0]) ||
        boxes->dim[1] > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "its output could be too large");
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    /* Corners of all boxes and of those kept, candidates of one class. */
    size_t boxes = (size_t)call->inputs[BOXES].shape.dim[1];
    call->workspace_bytes = boxes * (sizeof(struct candidate) + 2 * sizeof(struct corners));
    return 0;
}

/* Either two opposite corners, as y, x, y, x and in any order, or center and size. */
static struct corners read_box(const float *box, bool by_center)
{
    struct corners c;
    for (int i = 0; i < 2; i++) {
        float a = by_center ? box[i] - box[2 + i] / 2 : box[1 - i];
        float b = by_center ? box[i] + box[2 + i] / 2 : box[3 - i];
        c.low[i] = by_center || a < b ? a : b;
        c.high[i] = by_center || a < b ? b : a;
    }
    return c;
}

static float area(const struct corners *c)
{
    return (c->high[0] - c->low[0]) * (c->high[1] - c->low[1]);
}

static bool overlap(const struct corners *a, const struct corners *b, float limit)
{
    struct corners both;
    for (int i = 0; i < 2; i++) {
        both.low[i] = a->low[i] > b->low[i] ? a->low[i] : b->low[i];
        both.high[i] = a->high[i] < b->high[i] ? a->high[i] : b->high[i];
        if (!(both.high[i] > both.low[i]))
            return false;
    }
    float shared = area(&both), all = area(a) + area(b) - shared;
    return shared > 0 && area(a) > 0 && area(b) > 0 && all > 0 && shared / all > limit;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->score > b->score || (a->score == b->score && a->box < b->box);
}

/* A heap of candidates has the best at its top: most are suppressed or left over, so only as
 * many are put in order as are looked at. */
static void sift_down(struct candidate *heap, int64_t at, int64_t count)
{
    struct candidate sinking = heap[at];
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_better(&heap[child + 1], &heap[child]))
            child++;
        if (!is_better(&heap[child], &sinking))
            break;
        heap[at] = heap[child];
    }
    heap[at] = sinking;
}

/* The boxes of one class that count, as a heap. NaN is no score. */
static int64_t gather_candidates(const struct nn_op_call *call, const float *scores,
                                 struct candidate *heap)
{
    const bool all = !nn_op_has_input(call, SCORE);
    const float least = all ? -INFINITY : *(const float *)call->inputs[SCORE].data;
    const int64_t boxes = call->inputs[BOXES].shape.dim[1];
    int64_t count = 0;
    for (int64_t i = 0; i < boxes; i++)
        if (scores[i] > least || (all && scores[i] == least))
            heap[count++] = (struct candidate){scores[i], (int32_t)i};
    for (int64_t i = count / 2; i > 0; i--)
        sift_down(heap, i - 1, count);
    return count;
}

/* Writes (batch, class, box) for each that is kept; returns how many. */
static int64_t suppress(const struct nn_op_call *call, int64_t batch, int64_t class_index,
                        const struct corners *boxes, struct corners *kept, int64_t *out)
{
    const int64_t count = call->inputs[BOXES].shape.dim[1],
                  classes = call->inputs[SCORES].shape.dim[1], most = most_boxes(call);
    const float limit = nn_op_has_input(call, IOU) ? *(const float *)call->inputs[IOU].data : 0;
    const float *scores =
        (const float *)call->inputs[SCORES].data + (batch * classes + class_index) * count;
    struct candidate *heap = (struct candidate *)(kept + count);
    int64_t left = gather_candidates(call, scores, heap), kept_count = 0;
    while (left > 0 && kept_count < most) {
        const struct candidate best = heap[0];
        heap[0] = heap[--left];
        sift_down(heap, 0, left);
        const struct corners *box = &boxes[best.box];
        bool is_free = true;
        for (int64_t k = 0; k < kept_count && is_free; k++)
            is_free = !overlap(box, &kept[k], limit);
        if (!is_free)
            continue;
        kept[kept_count++] = *box;
        *out++ = batch;
        *out++ = class_index;
        *out++ = best.box;
    }
    return kept_count;
}

static int forward(struct nn_op_call *call)
{
    const struct nn_shape *scores = &call->inputs[SCORES].shape;
    const int64_t count = call->inputs[BOXES].shape.dim[1];
    const float *from = call->inputs[BOXES].data;
    const bool by_center = nn_op_int(call, "center_point_box", 0) != 0;
    struct corners *boxes = call->workspace;
    int64_t *out = call->outputs[0].data, total = 0;
    for (int64_t b = 0; b < scores->dim[0]; b++) {
        for (int64_t i = 0; i < count; i++, from += 4)
            boxes[i] = read_box(from, by_center);
        for (int64_t c = 0; c < scores->dim[1]; c++)
            total += suppress(call, b, c, boxes, boxes + count, out + 3 * total);
    }
    call->outputs[0].shape.dim[0] = total;
    return 0;
}

static const struct nn_attribute_rule attributes[] = {
    {"center_point_box", NN_ATTRIBUTE_INT, 0, 0}, {0}};

const struct nn_op nn_op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .min_inputs = 2,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = attributes,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
};
