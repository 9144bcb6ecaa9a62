/* The network that a recipe teaches: made of its layers, or an ONNX file that is taught further.
 *
 * Functions that return int: CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: any. */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include "cli/recipe.h"
#include "nn/train/dataset.h"

struct network {
    struct train_design *design; /* NULL: of a file */
    /* Of a file. */
    struct nn_model *model;
    void *renewed;        /* the file with another last layer; NULL: it is as it was */
    char *bytes, *sha256; /* as it was read */
    size_t size;          /* of what is taught */
    char **labels; /* that its outputs have, if the recipe leaves them as they are; NULL */
};

/* `seed`: of what begins anew. network_clear is right in both cases. */
int network_open(const struct recipe *recipe, uint64_t seed, struct network *ret_network);
void network_clear(struct network *network);

/* The file, with the weights that it begins with. */
const void *network_bytes(const struct network *network, size_t *ret_size);

/* Layers, shapes and counts; of a file, what of it learns. Weights of layers are not made. */
int network_print(const struct recipe *recipe);

/* Mean and scale that the recipe does not say: those of the file, or by which it is served where
 * it says nothing either; of layers 0 and 1. */
int network_settle(const struct network *network, struct recipe *recipe);

/* Gives classes the numbers that the network's outputs have, if they are among its labels. */
int network_order_classes(const struct network *network, struct train_dataset *data);

/* The file's value of a key of its metadata; NULL: it has none, or there is no file. */
const char *network_metadata(const struct network *network, const char *key);

#endif
