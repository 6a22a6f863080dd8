/* count.c - a plug-in of QEMU: executed instructions of an address range, and the
 * bytes that they write into another.
 *   qemu-... -plugin count.so,code=0x1000:0x2000[,data=0x8000:0x9000]
 * prints "instructions N" and "stored N" to stderr at exit. The declarations are
 * QEMU's plug-in interface, version 1, as far as it is used here. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W };
typedef uint32_t qemu_plugin_meminfo_t;
void qemu_plugin_register_vcpu_tb_trans_cb(
    qemu_plugin_id_t id,
    void (*call)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
                                    void (*call)(qemu_plugin_id_t id, void *),
                                    void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
                                                enum qemu_plugin_op op,
                                                void *counter, uint64_t by);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*call)(unsigned cpu,
                                                   qemu_plugin_meminfo_t info,
                                                   uint64_t at, void *user),
                                      enum qemu_plugin_cb_flags flags,
                                      enum qemu_plugin_mem_rw rw, void *user);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
                        char **argv);

struct range {
  uint64_t first, end;
};
static struct range code, data;
static uint64_t count, stored;

static bool in(const struct range *r, uint64_t at) {
  return at >= r->first && at < r->end;
}

static void store(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t at,
                  void *user) {
  (void)cpu;
  (void)user;
  if (in(&data, at) && qemu_plugin_mem_is_store(info))
    stored += UINT64_C(1) << qemu_plugin_mem_size_shift(info);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
    if (!in(&code, qemu_plugin_insn_vaddr(insn)))
      continue;
    qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                               &count, 1);
    if (data.end)
      qemu_plugin_register_vcpu_mem_cb(insn, store, QEMU_PLUGIN_CB_NO_REGS,
                                       QEMU_PLUGIN_MEM_W, NULL);
  }
}

static void finish(qemu_plugin_id_t id, void *user) {
  (void)id;
  (void)user;
  fprintf(stderr, "instructions %llu\n", (unsigned long long)count);
  if (data.end)
    fprintf(stderr, "stored %llu\n", (unsigned long long)stored);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
                    char **argv) {
  (void)info;
  for (int i = 0; i < argc; i++) {
    struct range *r = strncmp(argv[i], "data=", 5) ? &code : &data;
    char *colon;
    if (r == &code && strncmp(argv[i], "code=", 5) != 0)
      return 1;
    r->first = strtoull(argv[i] + 5, &colon, 0);
    r->end = strtoull(colon + 1, NULL, 0);
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  qemu_plugin_register_atexit_cb(id, finish, NULL);
  return code.end == 0;
}
