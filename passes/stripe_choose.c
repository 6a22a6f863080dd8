/* stripe_choose.c - which kernels are computed by blocks of rows, and how many
 * rows a block has. Between two nodes of a block of ops a stripe may stand for
 * all that lie between; of the ways to cover the block by nodes and stripes the
 * one is taken that saves most of an estimate of cycles, with no more bytes in
 * use than the limit. A cycle here is one of a core with the target's caches:
 * what counts is bytes that no longer leave them, against rows made twice. */
#include "passes/stripe.h"

#include "passes/cycles.h"
#include "passes/liveness.h"

#include <assert.h>
#include <math.h>

enum {
  MAX_NODES = 32,     /* of a stripe that makes the arena fit, */
  TIME_NODES = 8,     /* and of one that saves time */
  MAX_RUNS = 8,       /* copies of its code */
  COPY_CYCLES = 2000, /* of a kernel's, to weigh its bytes; */
  COPY_BYTES = 512,   /* of which there are so many */
  TILE_PIXELS = 6,    /* that a register tile goes over, at least */
  LOW_PIXELS = 4,     /* so many; for one less, of the time, */
  LOW_PART = 50,      /* a part */
  LEAST_PIXELS = 24,  /* of a block */
  LEAST_RISING = 16,  /* of one that sees more keys than the one before */
  CALL_CYCLES = 100,  /* of a kernel */
  CHEAP_PART = 32,    /* of all cycles, that a smaller arena may take */
  GOOD_PART = 4,      /* of an arena, that is then worth the code */
  SAVED_BYTES = 8,    /* of an arena that are worth a cycle */
  FEW_PART = 8        /* of all blocks, that one thread computes alone */
};

struct option {
  int first, last; /* nodes */
  int64_t rows;
  int64_t whole, peak; /* bytes in use at most: as it is, as a stripe */
  double gain;         /* cycles */
};

struct chooser {
  struct pass_env *env;
  struct ir_block *block;
  struct aliases *aliases;
  struct striper s;
  struct live *l;
  int64_t *live;          /* bytes while each node runs */
  int64_t *begun, *ended; /* bytes of buffers that live from a node before this
                             one, until one before it */
  int *buffer;            /* of the aliases' buffers: number in `l`, or -1 */
  double *cycles;         /* of ops, by id; 0: not yet known */
  int64_t limit;
  int64_t peak;    /* of the nodes as they are */
  bool time;       /* a stripe may be there to save time */
  int64_t threads; /* that share its blocks */
  DN_LIST(struct option) options;
};

/* ---- What it costs ---- */

/* Cycles for a byte of what is written and read again soon. */
static double byte_cycles(const struct ir_facts *t, int64_t bytes) {
  if (bytes * 2 <= t->l2)
    return 1.0 / 32;
  return bytes <= t->l3 ? 1.0 / 8 : 1.0 / 4;
}

static int64_t bytes_of(const struct stripe *s, const struct stripe_value *v,
                        int64_t rows) {
  int64_t all = ir_type_bytes(v->v->type) / v->v->type->dim[v->axis] * rows;
  return v->key ? all / s->keys->n * s->keys->most : all;
}

/* What lives inside of a block of rows. */
struct inside {
  int *owner;   /* by value of the stripe: the one whose memory it is */
  size_t *last; /* by value: the op that reads the memory last, from the end */
  int64_t peak; /* bytes */
};

/* The number of a value of the stripe that an op outside kernels makes. */
static int number_at(const struct stripe *s, const struct ir_value *v) {
  for (size_t i = 0; i < s->values.n; i++)
    if (s->values.v[i].v == v && s->values.v[i].at)
      return (int)i;
  return -1;
}

static void find_owners(struct dn_arena *tmp, const struct stripe *s,
                        struct inside *in) {
  in->owner = DN_ARRAY(tmp, int, s->values.n);
  in->last = DN_ARRAY(tmp, size_t, s->values.n);
  for (size_t i = 0; i < s->values.n; i++) {
    in->owner[i] = (int)i;
    in->last[i] = SIZE_MAX;
  }
  for (size_t i = 0; i < s->ops.n; i++) { /* a concat before its pieces */
    const struct ir_op *op = s->ops.v[i];
    for (unsigned k = 0; ir_is_concat(op) && k < op->noperands; k++) {
      int x = number_at(s, ir_arg(op, k));
      if (x >= 0)
        in->owner[x] = in->owner[number_at(s, ir_result(op))];
    }
  }
  for (size_t i = s->ops.n; i-- > 0;) {
    const struct ir_op *op = s->ops.v[i];
    int x = ir_is_view(op) ? number_at(s, ir_arg(op, 0)) : -1;
    if (x >= 0)
      in->owner[number_at(s, ir_result(op))] = in->owner[x];
  }
}

static void find_ends(const struct stripe *s, struct inside *in) {
  for (size_t i = 0; i < s->links.n; i++) {
    const struct stripe_link *l = &s->links.v[i];
    const struct ir_op *reader = l->op;
    size_t at = 0;
    if (l->from < 0 || !s->values.v[l->from].at)
      continue;
    if (ir_in_kernel(reader))
      reader = reader->block->owner;
    while (s->ops.v[at] != reader)
      at++;
    size_t *last = &in->last[in->owner[l->from]];
    *last = at < *last ? at : *last;
  }
}

/* The kernel may write over what it reads last. */
static bool in_place(const struct chooser *c, const struct stripe *s,
                     const struct inside *in, size_t at, int64_t bytes,
                     const struct stripe_turn *t) {
  const struct live_node *n = &c->l->node[c->aliases->node[s->ops.v[at]->id]];
  for (int k = 0; k < n->ntakes; k++) {
    int of = c->l->buffer[n->take[k].buffer].of;
    int x = number_at(s, c->aliases->buffers.v[of].owner);
    if (n->take[k].same && x >= 0 && in->last[in->owner[x]] == at &&
        bytes == bytes_of(s, &s->values.v[x], t->value[x].hi - t->value[x].lo))
      return true;
  }
  return false;
}

/* Bytes in use inside, the most. */
static int64_t inside_peak(const struct chooser *c, struct dn_arena *tmp,
                           const struct stripe *s,
                           const struct stripe_turn *t) {
  struct inside in = {0};
  int64_t live = 0, peak = 0, *size = DN_ARRAY(tmp, int64_t, s->values.n);
  find_owners(tmp, s, &in);
  find_ends(s, &in);
  for (size_t at = s->ops.n; at-- > 1;) {
    int y = number_at(s, ir_result(s->ops.v[at])), of = in.owner[y];
    struct stripe_rows r = t->value[of];
    bool made = of && !size[of];
    if (made) {
      size[of] = dn_align(bytes_of(s, &s->values.v[of], r.hi - r.lo),
                          c->env->target->align);
      live += size[of];
    }
    bool over =
        made && of == y &&
        in_place(c, s, &in, at, bytes_of(s, &s->values.v[of], r.hi - r.lo), t);
    peak = dn_max(peak, over ? live - size[of] : live);
    for (size_t i = 0; i < s->values.n; i++)
      if (size[i] && in.last[i] == at) {
        live -= size[i];
        size[i] = 0;
      }
  }
  return peak;
}

/* Bytes in use around nodes first to last while they run as a stripe: all but
 * what is made and read in it. */
static int64_t outside_bytes(const struct chooser *c, const struct stripe *s,
                             int first, int last) {
  int64_t bytes = c->begun[last + 1] - c->ended[first];
  for (size_t i = 1; i < s->values.n; i++) {
    const struct ir_value *v = s->values.v[i].v;
    const struct alias *a = s->values.v[i].at ? alias_of(c->aliases, v) : NULL;
    if (a && a->buffer >= 0 && c->buffer[a->buffer] >= 0 &&
        c->aliases->buffers.v[a->buffer].owner == v)
      bytes -= c->l->buffer[c->buffer[a->buffer]].size;
  }
  return bytes;
}

static void find_spans(struct chooser *c) {
  struct dn_arena *tmp = c->env->scratch;
  c->begun = DN_ARRAY(tmp, int64_t, c->l->nnodes + 1);
  c->ended = DN_ARRAY(tmp, int64_t, c->l->nnodes + 1);
  c->buffer = DN_ARRAY(tmp, int, c->aliases->buffers.n);
  memset(c->buffer, -1, c->aliases->buffers.n * sizeof *c->buffer);
  for (int b = 0; b < c->l->nbuffers; b++) {
    const struct live_buffer *buf = &c->l->buffer[b];
    if (!buf->nodes.n)
      continue;
    c->buffer[buf->of] = b;
    c->begun[buf->nodes.v[0] + 1] += buf->size;
    c->ended[buf->nodes.v[buf->nodes.n - 1] + 1] += buf->size;
  }
  for (int i = 0; i < c->l->nnodes; i++) {
    c->begun[i + 1] += c->begun[i];
    c->ended[i + 1] += c->ended[i];
  }
}

/* ---- What can be done ---- */

/* A block reads rows of that operand alone. */
static bool has_rows(const struct stripe *s, const struct ir_op *op,
                     unsigned operand) {
  for (size_t i = 0; i < s->links.n; i++)
    if (s->links.v[i].op == op && s->links.v[i].operand == operand)
      return true;
  return false;
}

/* Cycles to read once more what a kernel's products read whole, from outside of
 * it: weights, keys, values. What fits the second-level cache is read from
 * there by every tile of rows anyway. */
static double reread_cycles(const struct chooser *c, const struct stripe *s,
                            const struct ir_block *b) {
  const struct ir_facts *t = c->env->target;
  double cycles = 0;
  for (const struct ir_op *op = b->first; op->next; op = op->next) {
    const struct ir_value *w = ir_arg(op, 1);
    if (ir_ops[op->code].cls != IR_CONTRACT || (w->def && w->def->block == b) ||
        has_rows(s, op, 1))
      continue;
    int64_t bytes = ir_type_bytes(w->type);
    if (bytes * 2 > t->l2)
      cycles += (double)bytes * byte_cycles(t, bytes);
  }
  return cycles;
}

/* The part of a product's time that register tiles lose at the end of so many
 * rows of a value; lower ones, to lose less there, take a little more. */
static double lost_part(const struct stripe_value *v, int64_t rows) {
  const struct ir_type *type = v->v->type;
  int64_t last = type->rank - 1, pixels = rows;
  double least = INFINITY;
  for (int d = 0; d < last; d++)
    pixels *= d == v->axis ? 1 : type->dim[d];
  if (v->axis == last || pixels < 1)
    return 0;
  for (int64_t tile = LOW_PIXELS; tile <= TILE_PIXELS; tile++) {
    double lost = (double)(dn_align(pixels, tile) - pixels) / (double)pixels;
    lost += (double)(TILE_PIXELS - tile) / LOW_PART;
    least = lost < least ? lost : least;
  }
  return least;
}

/* The part of a product's time that it takes where blocks of so many rows see ever
 * more keys: tiles are narrow at the end, and vectors, too, where those that are
 * more are no whole ones. */
static double ragged_part(const struct chooser *c, const struct stripe *s,
                          int64_t rows) {
  int64_t lanes = dn_max(c->env->target->vector_bytes / 4, 1);
  const struct stripe_keys *k = s->keys;
  if (!k->rise)
    return 0;
  int64_t more = (k->seen[1].hi - k->seen[0].hi) * rows;
  double vectors = more % lanes ? 2.5 : more % (4 * lanes) ? 0.5 : 0;
  return vectors * (double)lanes / (double)k->n;
}

/* The part of the keys that blocks of so many rows are computed for. */
static double seen_part(const struct stripe *s, int64_t rows) {
  int64_t height = stripe_height(s), keys = 0;
  if (!s->keys->n)
    return 1;
  for (int64_t lo = 0, hi; lo < height; lo = hi) {
    hi = dn_min(lo + rows, height);
    struct stripe_rows r = stripe_keys_of(s, lo, hi);
    keys += (r.hi - r.lo) * (hi - lo);
  }
  return (double)keys / (double)(s->keys->n * height);
}

static double op_cycles(const struct chooser *c, const struct ir_op *op) {
  double *cycles = &c->cycles[op->id];
  if (*cycles == 0)
    *cycles = cycles_of(c->env, op);
  return *cycles;
}

/* Cycles that blocks of that size save, by how much is computed twice and what
 * is written and read. */
static double gain_of(const struct chooser *c, const struct stripe *s,
                      const struct stripe_turn *t, int64_t rows, int64_t peak) {
  const struct ir_facts *facts = c->env->target;
  double turns = (double)stripe_height(s) / (double)rows, gain = 0;
  double near = byte_cycles(facts, peak), seen = seen_part(s, rows);
  for (size_t i = 0; i < s->values.n; i++) {
    const struct stripe_value *v = &s->values.v[i];
    double made = turns * (double)(t->value[i].hi - t->value[i].lo);
    double again = made / (double)v->v->type->dim[v->axis] - 1;
    const struct ir_op *op = v->at ? v->at : v->v->def;
    again = again > 0 ? again : 0;
    if (v->at && v->at->code == IR_KERNEL) {
      double bytes = (double)ir_type_bytes(v->v->type);
      gain -= CALL_CYCLES * turns;
      gain -= reread_cycles(c, s, op->region[0]) * (turns * seen - 1);
      if (i) /* written, and read by one */
        gain += 2 * bytes *
                (byte_cycles(facts, (int64_t)bytes) - near * (1 + again));
      op = ir_arg(op->region[0]->last, 0)->def;
    }
    if (ir_ops[op->code].cls == IR_CONTRACT)
      again += lost_part(v, t->value[i].hi - t->value[i].lo) +
               (v->key ? ragged_part(c, s, rows) : 0);
    if (v->key || !i) /* the root sums over what is seen */
      again -= 1 - seen;
    if (!ir_is_view(op) || op->block != s->ops.v[0]->block)
      gain -= again * op_cycles(c, op);
  }
  return gain;
}

/* Bytes in use while nodes run as they are, the most. */
static int64_t worst(const struct chooser *c, int first, int last) {
  int64_t bytes = 0;
  for (int i = first; i <= last; i++)
    bytes = dn_max(bytes, c->live[i]);
  return bytes;
}

/* Cycles, and bytes above those that are in use anyway. */
static double worth(const struct chooser *c, const struct option *o,
                    int64_t anyway) {
  int64_t saved = dn_max(o->whole, anyway) - dn_max(o->peak, anyway);
  return o->gain + (c->time ? (double)saved / SAVED_BYTES : 0);
}

/* Threads get as many blocks each, but for a few rows. */
static bool is_shared(const struct chooser *c, const struct stripe_runs *cut) {
  int64_t rows = 0, all = 0;
  for (size_t i = 0; i < cut->runs.n; i++) {
    all += cut->runs.v[i].count;
    rows += cut->runs.v[i].count % c->threads ? 0 : cut->runs.v[i].count;
  }
  return rows >= all - all / FEW_PART;
}

static void add_option(struct chooser *c, const struct stripe *s, int first,
                       int last, int64_t rows) {
  struct dn_arena *tmp = dn_arena_new(c->env->ctx);
  struct stripe_turn t = stripe_turn_new(tmp, s);
  struct stripe_runs cut;
  int64_t middle = stripe_height(s) / rows / 2 * rows,
          whole = worst(c, first, last);
  if (stripe_turn_at(s, middle, dn_min(middle + rows, stripe_height(s)), &t)) {
    int64_t inside = inside_peak(c, tmp, s, &t);
    struct option o = {first, last, rows, whole, 0, 0};
    o.peak = outside_bytes(c, s, first, last) + inside * c->threads;
    o.gain = gain_of(c, s, &t, rows, inside);
    if ((worth(c, &o, 0) > 0 || whole > c->limit) &&
        (o.peak < whole || o.peak <= c->peak) &&
        stripe_cut(tmp, s, rows, MAX_RUNS, &cut) && is_shared(c, &cut)) {
      int64_t copies = (int64_t)((cut.runs.n - 1) * s->ops.n);
      o.gain -= c->limit ? (double)(copies * COPY_CYCLES) : 0;
      if (c->limit || o.whole - o.peak > copies * COPY_BYTES)
        DN_PUSH(c->env->scratch, c->options, o);
    }
  }
  dn_arena_free(tmp);
}

/* Bytes of what is not stored whole. */
static int64_t bytes_within(const struct stripe *s) {
  int64_t bytes = 0;
  for (size_t i = 1; i < s->values.n; i++)
    if (s->values.v[i].at && s->values.v[i].at->code == IR_KERNEL)
      bytes = dn_max(bytes, ir_type_bytes(s->values.v[i].v->type));
  return bytes;
}

static void add_options(struct chooser *c, struct dn_arena *tmp, int last) {
  struct ir_op *root = c->l->node[last].op;
  struct stripe s;
  for (int first = last - 1; first >= 0 && first > last - MAX_NODES; first--) {
    struct ir_op *op = c->l->node[first].op;
    if (first <= last - TIME_NODES && worst(c, first, last) <= c->limit)
      return;
    if (!stripe_find(&c->s, tmp, root, op, &s))
      return;
    if (number_at(&s, op->nresults ? ir_result(op) : NULL) <= 0 ||
        (worst(c, first, last) <= c->limit &&
         (!c->time || bytes_within(&s) < STRIPE_LEAST)))
      continue;
    stripe_find_keys(&c->s, &s);
    int64_t height = stripe_height(&s), before = height;
    const struct ir_type *type = ir_result(root)->type;
    int64_t pixels =
        ir_type_count(type) / height / dn_max(type->dim[type->rank - 1], 1);
    int64_t least =
        worst(c, first, last) > c->limit
            ? 1
            : dn_div_ceil(s.keys->rise ? LEAST_RISING : LEAST_PIXELS,
                          dn_max(pixels, 1));
    for (int64_t n = 2, step; n <= height; n += step) {
      int64_t rows = dn_div_ceil(height, n);
      step = n & (n - 1) ? n / 3 : n / 2;
      if (pixels == 1) { /* which number of them matters */
        step = dn_max(n / 6, 1);
        int64_t whole = s.keys->rise ? LEAST_RISING : TILE_PIXELS;
        if (height % rows)
          rows -= rows > whole ? rows % whole : 0;
      }
      if (rows < before && rows >= least &&
          (pixels > 1 || least == 1 || height % rows == 0 ||
           (height % rows >= TILE_PIXELS &&
            !(s.keys->rise && height % LEAST_RISING == 0))))
        add_option(c, &s, first, last, rows);
      before = rows;
    }
  }
}

/* ---- The cheapest ---- */

struct step { /* best way to do the nodes before one */
  bool ok;
  double gain;
  int by; /* option; -1: the node before alone */
};

/* The best cover of all nodes within `limit`, where `anyway` bytes are in use;
 * false: there is none. */
static bool cover(const struct chooser *c, int64_t limit, int64_t anyway,
                  struct step *at) {
  size_t o = 0;
  at[0] = (struct step){true, 0, -1};
  for (int i = 0; i < c->l->nnodes; i++) {
    struct step *y = &at[i + 1];
    *y = (struct step){at[i].ok && c->live[i] <= limit, at[i].gain, -1};
    for (; o < c->options.n && c->options.v[o].last == i; o++) {
      const struct option *by = &c->options.v[o];
      const struct step *x = &at[by->first];
      double gain = x->gain + worth(c, by, anyway);
      if (x->ok && by->peak <= limit && (!y->ok || gain > y->gain))
        *y = (struct step){true, gain, (int)o};
    }
  }
  return at[c->l->nnodes].ok;
}

/* The least limit from `lo` to `hi` that can be met with such a gain; `hi` can. */
static int64_t least_limit(const struct chooser *c, int64_t lo, int64_t hi,
                           double gain, struct step *at) {
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (cover(c, mid, 0, at) && at[c->l->nnodes].gain >= gain)
      hi = mid;
    else
      lo = mid + 1;
  }
  return hi;
}

static int64_t cover_peak(const struct chooser *c, const struct step *at) {
  int64_t peak = 0;
  for (int i = c->l->nnodes; i > 0;) {
    const struct option *o = at[i].by < 0 ? NULL : &c->options.v[at[i].by];
    peak = dn_max(peak, o ? o->peak : c->live[i - 1]);
    i = o ? o->first : i - 1;
  }
  return peak;
}

/* Bytes in use while each node runs; returns the most. */
static int64_t find_live(struct dn_arena *tmp, const struct live *l,
                         int64_t *live) {
  struct live_run run = live_start(l, tmp);
  int64_t peak = 0;
  for (int i = 0; i < l->nnodes; i++) {
    live[i] = live_do(&run, i, NULL);
    peak = dn_max(peak, live[i]);
  }
  return peak;
}

/* Of a block in its order, with what regions need inside. */
static struct live *build_live(const struct pass_env *env, struct aliases *a,
                               struct ir_block *b, enum live_reuse reuse) {
  struct live *l = live_build(env->scratch, a, b, env->target->align, reuse);
  for (int i = 0; i < l->nnodes; i++) {
    const struct ir_op *op = l->node[i].op;
    for (unsigned r = 0; ir_has_blocks(op) && r < op->nregions; r++) {
      struct live *in = build_live(env, a, op->region[r], reuse);
      int64_t *live = DN_ARRAY(env->scratch, int64_t, in->nnodes);
      l->node[i].inside =
          dn_max(l->node[i].inside,
                 find_live(env->scratch, in, live) * ir_turns_at_once(op));
    }
  }
  return l;
}

/* The least limit that takes few cycles more than the nodes as they are, where it
 * saves a good part of the peak; that, otherwise. */
static int64_t cheap_limit(const struct chooser *c, struct step *at) {
  struct dn_arena *tmp = c->env->scratch;
  double all = 0;
  for (int i = 0; i < c->l->nnodes; i++)
    for (const struct ir_op *op = c->l->node[i].op, *in = op; in;
         in = ir_next_inside(op, in))
      all += ir_ops[in->code].cls == IR_REGION ? 0 : op_cycles(c, in);
  int64_t limit = least_limit(c, 0, c->peak, -all / CHEAP_PART, at);
  int64_t peak =
      find_live(tmp, build_live(c->env, c->aliases, c->block, LIVE_OVERLAP),
                DN_ARRAY(tmp, int64_t, c->l->nnodes));
  return limit <= peak - peak / GOOD_PART ? limit : c->peak;
}

/* Memory that some nodes need is not saved at others. */
static void choose(const struct chooser *c, struct step *at) {
  int64_t limit = c->limit ? c->limit : cheap_limit(c, at);
  if (!cover(c, limit, 0, at))
    limit = least_limit(c, limit, c->peak, -HUGE_VAL, at);
  cover(c, limit, 0, at);
  cover(c, limit, cover_peak(c, at), at);
}

static bool apply(struct chooser *c, const struct option *o) {
  struct stripe s;
  struct stripe_runs cut;
  bool ok = stripe_find(&c->s, c->s.arena, c->l->node[o->last].op,
                        c->l->node[o->first].op, &s);
  if (ok)
    stripe_find_keys(&c->s, &s);
  ok = ok && stripe_cut(c->env->scratch, &s, o->rows, MAX_RUNS, &cut);
  assert(ok && "add_option() has tried it");
  if (ok) {
    stripe_say(c->env, &s, &cut);
    stripe_apply(&c->s, &s, &cut);
  }
  return ok;
}

static int64_t cut_block(struct pass_env *env, struct ir_block *b,
                         int64_t limit, bool time) {
  struct chooser c = {.env = env, .block = b, .limit = limit, .time = time};
  int64_t made = 0;
  c.threads = b->owner || env->opts->max_ram ? 1 : env->opts->threads;
  c.aliases = aliases_build(env->scratch, b->func);
  c.l = build_live(env, c.aliases, b, LIVE_IN_PLACE);
  c.s = striper_new(env->scratch, b->func->module);
  c.cycles = DN_ARRAY(env->scratch, double, b->func->module->nops);
  c.live = DN_ARRAY(env->scratch, int64_t, c.l->nnodes);
  c.peak = find_live(env->scratch, c.l, c.live);
  find_spans(&c);
  if (!time && c.peak <= limit)
    return 0;
  for (int i = 0; i < c.l->nnodes; i++)
    if (c.l->node[i].op->code == IR_KERNEL) {
      struct dn_arena *tmp = dn_arena_new(env->ctx);
      add_options(&c, tmp, i);
      dn_arena_free(tmp);
    }
  struct step *at = DN_ARRAY(env->scratch, struct step, c.l->nnodes + 1);
  choose(&c, at);
  for (int i = c.l->nnodes; i > 0;) {
    const struct option *o = at[i].by < 0 ? NULL : &c.options.v[at[i].by];
    made += o && apply(&c, o);
    i = o ? o->first : i - 1;
  }
  return made;
}

int64_t stripe_block(struct pass_env *env, struct ir_block *b, int64_t limit,
                     bool time) {
  struct pass_env own = *env; /* of many blocks, what each needs is freed */
  own.scratch = dn_arena_new(env->ctx);
  int64_t made = cut_block(&own, b, limit, time);
  dn_arena_free(own.scratch);
  return made;
}

int64_t stripe_within(struct pass_env *env, struct ir_block *b, int64_t limit,
                      stripe_cutter *cut) {
  int64_t made = 0;
  struct pass_env own = *env;
  struct dn_arena *tmp = own.scratch = dn_arena_new(env->ctx);
  struct live *l =
      build_live(&own, aliases_build(tmp, b->func), b, LIVE_IN_PLACE);
  int64_t *live = DN_ARRAY(tmp, int64_t, l->nnodes);
  find_live(tmp, l, live);
  for (int i = 0; i < l->nnodes; i++) {
    struct ir_op *op = l->node[i].op;
    int64_t around = live[i] - l->node[i].inside;
    if (op->code == IR_SCAN && !ir_num_carried(op) && live[i] > limit)
      made += cut(env, op->region[0], dn_max(limit - around, 1));
  }
  dn_arena_free(tmp);
  return made;
}
