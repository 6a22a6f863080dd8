/* run_sizes.c - sizes that are known at run time only: those of the inputs'
 * files, what --dim NAME=VALUE says, or else the bounds. */
#include "tools/run.h"

#include <string.h>

void run_find_sizes(struct run *r) {
  r->at = r->sizes.most;
  r->bounds = DN_ARRAY(r->ctx->arena, struct run_port, r->nin + r->nout + 1);
  memcpy(r->bounds, r->in, r->nin * sizeof *r->in);
  memcpy(r->bounds + r->nin, r->out, r->nout * sizeof *r->out);
}

/* The parameter of a dimension that is made of one only. */
static void take_dim(struct run *r, const struct ir_size *size, int64_t dim) {
  if (!size || size->n != 1 || size->div != 1 || size->term[0].and)
    return;
  const struct ir_term *t = &size->term[0];
  int64_t v;
  if (t->coef < 1 || !dn_mul(size->c, -1, &v) || !dn_add(v, dim, &v))
    return;
  for (int i = 0; i < r->at.n; i++)
    if (t->by == r->at.param[i])
      r->at.value[i] = v / t->coef;
}

/* The parameter that --dim NAME=VALUE is of; -1: it is of none. */
static int find_param(const struct run *r, const char *text, const char *eq) {
  for (int i = 0; eq && i < r->at.n; i++)
    if (strlen(r->at.param[i]->name) == (size_t)(eq - text) &&
        !strncmp(r->at.param[i]->name, text, (size_t)(eq - text)))
      return i;
  return -1;
}

/* The value, or what is added to it for each step. */
static bool take_option(struct run *r, const char *text, bool next) {
  const char *eq = strrchr(text, '=');
  int64_t value, step;
  if (!eq || eq == text || eq[-1] == '<')
    return true; /* read when it was compiled */
  int i = find_param(r, text, eq);
  if (i < 0 || !opt_read_dim(eq + 1, &value, &step))
    return (r->m && !strchr(eq, '+')) ||
           dn_usage(r->ctx, "--dim",
                    "'%.200s' is no size that is known at run time only", text);
  r->at.value[i] = next ? r->at.value[i] + step : value;
  return true;
}

static bool are_in_range(struct run *r) {
  bool ok = true;
  for (int i = 0; i < r->at.n; i++) {
    int64_t v = r->at.value[i], least = r->sizes.least[i];
    if (v >= least && v <= r->sizes.most.value[i])
      continue;
    ok = dn_error(r->ctx, (struct dn_loc){.file = r->path}, DN_USAGE,
                  "size '%s' is %lld, not %lld to %lld", r->at.param[i]->name,
                  (long long)v, (long long)least,
                  (long long)r->sizes.most.value[i]);
  }
  return ok;
}

static bool take_ports(struct run *r, struct run_port *to, size_t from,
                       size_t n) {
  for (size_t i = 0; i < n; i++) {
    to[i].type = ir_type_at(r->ctx, r->bounds[from + i].type, &r->at);
    if (!to[i].type)
      return false;
  }
  return true;
}

bool run_set_sizes(struct run *r, const struct ir_type *const *types,
                   size_t n) {
  bool ok = true;
  r->at = r->sizes.most;
  for (size_t i = 0; i < n && i < r->nin; i++) {
    const struct ir_type *t = r->bounds[i].type;
    for (int d = 0; types[i] && types[i]->rank == t->rank && d < t->rank; d++)
      take_dim(r, t->size[d], types[i]->dim[d]);
  }
  for (size_t i = 0; r->at.n && i < r->o->dims.n; i++)
    ok &= take_option(r, r->o->dims.v[i], false);
  return ok && are_in_range(r) && take_ports(r, r->in, 0, r->nin) &&
         take_ports(r, r->out, r->nin, r->nout);
}

bool run_next_sizes(struct run *r) {
  bool ok = true, same = true;
  for (size_t i = 0; i < r->o->dims.n; i++)
    ok &= take_option(r, r->o->dims.v[i], true);
  if (!ok || !are_in_range(r))
    return false;
  for (size_t i = 0; r->at.n && i < r->nin + r->nout; i++) {
    const struct run_port *p = i < r->nin ? &r->in[i] : &r->out[i - r->nin];
    same &= p->type == ir_type_at(r->ctx, r->bounds[i].type, &r->at);
  }
  return same || dn_usage(r->ctx, "--dim",
                          "a size that steps is of an input or output");
}
