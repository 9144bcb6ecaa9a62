/* A model written as a packed file and mapped again, as workers do. */
#ifndef TESTS_NN_PACKING_H
#define TESTS_NN_PACKING_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/packed.h"

struct packing {
    void *data;
    size_t size;
};

/* Called when nothing made of the file is left. */
static inline void packing_release(void *user)
{
    struct packing *packing = user;
    munmap(packing->data, packing->size);
    free(packing);
}

/* The packed file of `plan`, mapped read-only: what writes to a weight dies. */
static inline int packing_write(const struct nn_plan *plan, const void *onnx, size_t size,
                                size_t inline_bytes, struct packing **ret_packing,
                                struct nn_error *err)
{
    int fd = memfd_create("packed", MFD_CLOEXEC);
    struct stat status;
    int r = fd < 0 ? -errno : nn_packed_write(plan, onnx, size, inline_bytes, fd, err);
    struct packing *packing = calloc(1, sizeof *packing);
    if (r == 0 && !packing)
        r = -ENOMEM;
    if (r == 0 && fstat(fd, &status) == 0) {
        packing->size = (size_t)status.st_size;
        packing->data = mmap(NULL, packing->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (packing->data == MAP_FAILED)
            abort();
        *ret_packing = packing;
    } else {
        free(packing);
    }
    if (fd >= 0)
        close(fd);
    return r;
}

/* Packed, mapped, checked and loaded again. */
static inline int packing_reload(const struct nn_plan *plan, const void *onnx, size_t size,
                                 size_t inline_bytes, struct nn_model **ret_model,
                                 struct nn_error *err)
{
    struct packing *packing = NULL;
    struct nn_packed *packed = NULL;
    int r = packing_write(plan, onnx, size, inline_bytes, &packing, err);
    if (r < 0)
        return r;
    r = nn_packed_open(packing->data, packing->size, packing_release, packing, &packed, err);
    if (r < 0) {
        packing_release(packing);
        return r;
    }
    r = nn_model_load_packed(packed, ret_model, err);
    nn_packed_unref(packed);
    return r;
}

#endif
