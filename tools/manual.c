/* manual.c - writes the man pages and the completions of shells from the table
 * of options; the build runs it:
 *
 *   manual man|bash|zsh|fish dnnc|dnnc-opt|dnnc-run
 *
 * It is not installed. */
#include "ir/diag.h"
#include "passes/pass.h"
#include "tools/options.h"

#include <string.h>

enum { D = OPT_DNNC, O = OPT_OPT, R = OPT_RUN, N = 16, C = 32 };

static const struct tool {
  const char *name, *line, *model, *about, *see;
  unsigned bit;
} tools[] = {
    {"dnnc", "compile neural networks", "MODEL",
     "reads a model (ONNX, a JSON description, or its own text IR) and writes "
     "one object file, OUT.o, and a C header, OUT.h. With no options it "
     "optimizes for the CPU that it runs on.",
     "dnnc-run (1), dnnc-opt (1)", D},
    {"dnnc-opt", "run passes on the text IR of dnnc", "FILE.dnn",
     "reads a module in text, runs passes on it, and writes text. Without a "
     "file, or for \"-\", it reads the standard input.",
     "dnnc (1), dnnc-run (1)", O},
    {"dnnc-run", "run a neural network", "MODEL|OBJECT",
     "runs a model through code that it generates in memory, through the "
     "interpreter, or from an object or shared library that dnnc (1) wrote.",
     "dnnc (1), dnnc-opt (1)", R},
};
enum { NTOOLS = DN_COUNT(tools) };

/* Rows that a tool lists, the options of --help-hidden too. */
static bool is_shown(const struct opt_row *r, const struct tool *t) {
  return !r->heading && !r->of && (r->tools & t->bit) && !(r->tools & N);
}

/* ---- man ---- */

/* Text for troff: no line starts with a control character, and a minus is one
 * that can be copied. */
static void put_roff(const char *s) {
  if (*s == '.' || *s == '\'')
    printf("\\&");
  for (; *s; s++)
    if (*s == '-')
      printf("\\-");
    else if (*s == '\\')
      printf("\\e");
    else
      putchar(*s);
}

static void put_options(const struct tool *t) {
  const char *heading = NULL;
  printf(".SH OPTIONS\nLong options may have one dash or two; a value may also "
         "follow as the next\nargument.\n");
  for (const struct opt_row *r = opt_rows; r < opt_rows + opt_nrows; r++) {
    if (r->heading)
      heading = r->heading;
    if (!is_shown(r, t))
      continue;
    if (heading)
      printf(".SS %s\n", heading);
    heading = NULL;
    printf(".TP\n.B ");
    put_roff(opt_dashes(r));
    put_roff(r->name);
    printf("%s", opt_separator(r));
    if (*r->arg)
      printf("\\fI%s\\fR", r->arg + (*r->arg == '['));
    printf("\n");
    put_roff(r->help);
    printf("\n");
  }
  printf(".SS Limits on models\n.TP\n.BI \\-\\-limit\\-NAME= N\nwhere NAME is "
         "one of");
#define LIMIT(name, def, meaning) printf(" " #name);
#include "ir/limits.def"
#undef LIMIT
  printf("\n");
}

static void put_man(const struct tool *t) {
  static const struct {
    int code;
    const char *text;
  } codes[] = {
      {DN_EXIT_OK, "done"},
      {DN_EXIT_MODEL, "the model or the IR is wrong"},
      {DN_EXIT_USAGE, "the command line is wrong, or an output cannot be "
                      "written"},
      {DN_EXIT_UNSUPPORTED, "an operator, type or attribute is not supported"},
      {DN_EXIT_BUDGET, "over a budget"},
      {DN_EXIT_MISMATCH, "results differ"},
      {DN_EXIT_INTERNAL, "a bug in dnnc"},
  };
  printf(".TH %s 1 \"\" \"dnnc " DNNC_VERSION "\"\n.SH NAME\n", t->name);
  put_roff(t->name);
  printf(" \\- %s\n.SH SYNOPSIS\n.B ", t->line);
  put_roff(t->name);
  printf("\n.I %s\n[options]\n.SH DESCRIPTION\n.B ", t->model);
  put_roff(t->name);
  printf("\n");
  put_roff(t->about);
  printf("\n");
  put_options(t);
  printf(".SH EXIT STATUS\n");
  for (size_t i = 0; i < DN_COUNT(codes); i++)
    printf(".TP\n.B %d\n%s\n", codes[i].code, codes[i].text);
  printf(".SH SEE ALSO\n.BR %s\n", t->see);
}

/* ---- Values that a shell can offer ---- */

static bool is_path(const char *arg) {
  return strstr(arg, "FILE") || strstr(arg, "DIR");
}

/* Words for the value, or NULL. */
static const char *words(const struct opt_row *r) {
  if (!strcmp(r->name, "emit"))
    return r->help;
  if (!strcmp(r->name, "compare"))
    return r->arg;
  if (!strcmp(r->name, "mcpu"))
    return "native help";
  return NULL;
}

/* A command that prints the words, or NULL. */
static const char *asks(const struct opt_row *r) {
  if (!strcmp(r->name, "device"))
    return "dnnc --list-devices | sed '1d; s/ .*//'";
  if (!strcmp(r->arg, "PASS"))
    return "dnnc --list-passes | sed -n 's/^\\([a-z_]*\\) .*/\\1/p'";
  return NULL;
}

/* ---- bash ---- */

static void put_bash(const struct tool *t) {
  printf("# Completion of %s for bash; made from dnnc's table of options.\n"
         "_%s() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - "
         "1]}\n"
         "  COMPREPLY=()\n"
         "  if [[ $cur == '=' ]]; then\n    cur=\n"
         "  elif [[ $prev == '=' ]]; then\n"
         "    prev=${COMP_WORDS[COMP_CWORD - 2]}\n  fi\n"
         "  case ${prev/#--/-} in\n",
         t->name, t->name);
  for (const struct opt_row *r = opt_rows; r < opt_rows + opt_nrows; r++) {
    if (!is_shown(r, t) || !*r->arg || *r->arg == '[' || !strcmp(r->name, "O"))
      continue;
    printf("  -%s) ", r->name);
    if (words(r))
      printf("COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", words(r));
    else if (asks(r))
      printf("COMPREPLY=($(compgen -W \"$(%s)\" -- \"$cur\"))", asks(r));
    else
      printf("COMPREPLY=(%s)",
             is_path(r->arg) ? "$(compgen -f -- \"$cur\")" : "");
    printf("; return ;;\n");
  }
  printf("  esac\n  if [[ $cur == -* ]]; then\n    COMPREPLY=($(compgen -W '");
  for (const struct opt_row *r = opt_rows; r < opt_rows + opt_nrows; r++)
    if (is_shown(r, t) && !strcmp(r->name, "O"))
      printf("-O0 -O1 -O2 -O3 -Os -Oz ");
    else if (is_shown(r, t))
      printf("%s%s%s ", opt_dashes(r), r->name,
             strcmp(opt_separator(r), "=") != 0 ? "" : "=");
  printf("' -- \"$cur\"))\n"
         "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
         "  else\n    COMPREPLY=($(compgen -f -- \"$cur\"))\n  fi\n"
         "  return 0\n}\ncomplete -o filenames -F _%s %s\n",
         t->name, t->name);
}

/* ---- zsh ---- */

/* Escapes text for zsh's _arguments, where it stands within [] and between ''.
 */
static void put_zsh_text(const char *s) {
  for (; *s; s++)
    if (*s == '\'')
      printf("'\\''");
    else if (strchr("[]:\\", *s))
      printf("\\%c", *s);
    else
      putchar(*s);
}

static void put_zsh(const struct tool *t) {
  printf("#compdef %s\n# Completion of %s for zsh; made from dnnc's table of "
         "options.\n_arguments \\\n",
         t->name, t->name);
  for (const struct opt_row *r = opt_rows; r < opt_rows + opt_nrows; r++) {
    if (!is_shown(r, t))
      continue;
    bool level = !strcmp(r->name, "O");
    const char *sep = opt_separator(r);
    printf("  '*%s%s%s[", opt_dashes(r), r->name,
           level               ? "-"
           : !*sep             ? ""
           : !strcmp(sep, " ") ? "+"
           : *sep == '['       ? "=-"
                               : "=");
    put_zsh_text(r->help);
    printf("]");
    if (*r->arg) {
      printf(":");
      put_zsh_text(r->arg);
      printf(":");
      if (level)
        printf("(0 1 2 3 s z)");
      else if (words(r))
        printf("(%s)", words(r));
      else if (is_path(r->arg))
        printf("_files");
      else
        printf(" ");
    }
    printf("' \\\n");
  }
  printf("  '*:model:_files'\n");
}

/* ---- fish ---- */

static void put_fish_text(const char *s) {
  for (; *s; s++)
    printf(strchr("'\\", *s) ? "\\%c" : "%c", *s);
}

static void put_fish(const struct tool *t) {
  printf("# Completion of %s for fish; made from dnnc's table of options.\n",
         t->name);
  for (const struct opt_row *r = opt_rows; r < opt_rows + opt_nrows; r++) {
    if (!is_shown(r, t))
      continue;
    bool level = !strcmp(r->name, "O");
    printf("complete -c %s -%s %s", t->name,
           !r->name[1]    ? "s"
           : r->tools & C ? "o"
                          : "l",
           r->name);
    if (level)
      printf(" -x -a '0 1 2 3 s z'");
    else if (words(r))
      printf(" -x -a '%s'", words(r));
    else if (asks(r)) {
      printf(" -x -a '(");
      put_fish_text(asks(r));
      printf(")'");
    } else if (*r->arg && *r->arg != '[')
      printf(is_path(r->arg) ? " -r" : " -x");
    printf(" -d '");
    put_fish_text(r->help);
    printf("'\n");
  }
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*put)(const struct tool *t);
  } kinds[] = {{"man", put_man},
               {"bash", put_bash},
               {"zsh", put_zsh},
               {"fish", put_fish}};
  for (size_t k = 0; argc == 3 && k < DN_COUNT(kinds); k++)
    for (size_t i = 0; i < NTOOLS; i++)
      if (!strcmp(argv[1], kinds[k].name) && !strcmp(argv[2], tools[i].name)) {
        kinds[k].put(&tools[i]);
        return fflush(stdout) || ferror(stdout);
      }
  fprintf(stderr, "usage: manual man|bash|zsh|fish dnnc|dnnc-opt|dnnc-run\n");
  return 2;
}
