/* dnn.h - what generated objects and their callers share: status codes and the
 * description of a model, stored in its object. C99 and C++, freestanding;
 * generated headers do not need it. */
#ifndef DNN_H
#define DNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What PREFIX_run() returns. */
#define DNN_OK 0
#define DNN_E_ARENA 1 /* the arena is NULL or misaligned: PREFIX_ARENA_ALIGN */
#define DNN_E_NULL 2  /* an input or output is NULL */
#define DNN_E_LOOP 3  /* a loop would go on beyond its bound */
#define DNN_E_WEIGHTS 4 /* the weights are not the model's, or are damaged */
#define DNN_E_SIZE 5    /* a size is not in the range that the header says */
#define DNN_E_STATE 6  /* the state is NULL or misaligned: PREFIX_STATE_ALIGN */
#define DNN_E_MATRIX 7 /* the system refuses the registers of matrices (AMX) */

/* Versions of the layout below, by what follows the tensors: 1 nothing, 2
 * sizes, 3 the places of inputs and outputs in the arena, 4 sizes (perhaps
 * none) and a state, 5 sizes, state (either may be none) and an arena in two
 * parts, 6 both of 3 and 5. */
#define DNN_ABI_VERSION 1
#define DNN_ABI_SIZES 2
#define DNN_ABI_ARENA 3
#define DNN_ABI_STATE 4
#define DNN_ABI_PARTS 5
#define DNN_ABI_ARENAS 6
#define DNN_MODEL_MAGIC 0x4d4e4e44u /* "DNNM" in a little-endian dump */
#define DNN_MAX_RANK 12

/* `const struct dnn_model PREFIX_model`: a block of `size` bytes without
 * pointers, the same on every target, so that tools can read it in an object
 * for another machine. Positions (`..._at`) count bytes from its start; names
 * are UTF-8 and end with a zero byte. */
struct dnn_model {
  uint32_t magic;
  uint32_t version;   /* one of those above */
  uint32_t size;      /* bytes of the whole block */
  uint32_t name_at;   /* the model's name */
  uint32_t prefix_at; /* of its symbols: PREFIX_run */
  uint32_t target_at; /* LLVM triple */
  uint32_t ninputs, noutputs;
  uint32_t tensors_at;  /* struct dnn_tensor: inputs, then outputs */
  uint32_t arena_align; /* bytes; 0: any */
  uint64_t arena_size;  /* bytes, of both parts; 0: PREFIX_run takes NULL */
  uint64_t weights_size;
  uint64_t stack_size; /* worst case of PREFIX_run; 0: not known */
  uint64_t macs;       /* multiply-accumulates of one run */
};

/* Of versions 3 and 6, behind the tensors: for each a uint64_t, its bytes from
 * the arena's start. PREFIX_run takes the arena, and writes over its inputs. */

/* Of versions 2, 4, 5 and 6, behind it: sizes that PREFIX_run takes as int64_t,
 * between its outputs and the arena. */
struct dnn_sizes {
  uint32_t n;
  uint32_t sizes_at; /* struct dnn_size, in order */
  /* uint32_t[DNN_MAX_RANK] a tensor, inputs, then outputs: the position of a
   * dimension's text, such as "2*N+1", whose bound is dnn_tensor.dim; 0: dim is
   * the dimension. */
  uint32_t dims_at;
  /* Bytes; 0: there is no state. PREFIX_run takes it before the arena, and
   * PREFIX_reset(state) starts it. */
  uint32_t state_align;
};
/* Of versions 5 and 6, behind those: a uint64_t, the bytes of the first part of
 * the arena. PREFIX_run takes the second behind it. */
struct dnn_size {
  uint32_t name_at;
  uint32_t unused;
  int64_t least, most;
};

struct dnn_tensor {
  uint32_t name_at;
  uint8_t type; /* as ONNX TensorProto.DataType: 1 float, 3 int8 ... */
  uint8_t rank;
  uint16_t state; /* of an output: 1 + the number of the input that it is the
                   * next value of; 0: no state. PREFIX_run takes neither as a
                   * parameter. The state holds these outputs one after another,
                   * at multiples of state_align, each with its largest size */
  double scale;   /* real = scale * (stored - zero); 0: not quantized */
  int64_t zero;
  int64_t dim[DNN_MAX_RANK]; /* 0 beyond rank */
};

/* Weights apart from their object (--weights=FILE): this header, then constants
 * from DNN_WEIGHTS_AT on, where the object's code looks for them. */
#define DNN_WEIGHTS_MAGIC 0x574e4e44u /* "DNNW" in a little-endian dump */
#define DNN_WEIGHTS_VERSION 1
#define DNN_WEIGHTS_AT 64
struct dnn_weights {
  uint32_t magic;
  uint32_t version; /* DNN_WEIGHTS_VERSION */
  uint64_t abi;     /* hash of the code and constants that stay in the object */
  uint64_t size;    /* of all, a multiple of 4 */
  uint32_t align;   /* alignment of its address */
  uint32_t sum;     /* checksum of the bytes behind this header; detects every
                       change of a single byte */
};

/* Runs fn(user, i) for every i in [0, n), in any order and on any thread, and
 * returns when all have ended. Objects made with --threads=N, N > 1, call it;
 * the program defines it, or links libdnn_parallel.a (runtime/parallel.c),
 * which may be called from any thread at any time. There, if fn forks and
 * returns in the child, the child goes on alone with the indices that no thread
 * had taken; the child of a thread of the pool ends where fn does. */
void dnn_parallel_for(size_t n, void (*fn)(void *user, size_t i), void *user);

/* In libdnn_parallel.a: sets the number of threads, the caller included, for
 * later calls. 0 (the default): $DNN_THREADS, or one for each processor if
 * unset. */
void dnn_set_threads(unsigned n);

#ifdef __cplusplus
}
#endif

#endif
