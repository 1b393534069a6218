/* main(): options before the verb, then the table of verbs. */
#include "bin/cli.h"
#include "bin/verb_config.h"
#include "bin/verb_demo.h"
#include "bin/verb_mime.h"
#include "bin/verb_serve.h"
#include "bin/verb_user.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BARID_VERSION "0.1.0"

static int verb_help(const struct cli *cli, int argc, char **argv)
{
    (void)cli;
    (void)argc;
    (void)argv;
    cli_say(MSG_USAGE);
    return EX_OK;
}

static int verb_version(const struct cli *cli, int argc, char **argv)
{
    (void)cli;
    (void)argc;
    (void)argv;
    (void)puts("barid " BARID_VERSION);
    return EX_OK;
}

static int run_mime(const struct cli *cli, int argc, char **argv)
{
    (void)cli;
    return verb_mime(argc, argv);
}

static const struct verb {
    const char *name;
    int (*run)(const struct cli *cli, int argc, char **argv);
} verbs[] = {
    { "demo", verb_demo },
    { "serve", verb_serve },
    { "status", verb_status },
    { "fsck", verb_fsck },
    { "rebuild", verb_rebuild },
    { "config", verb_config },
    { "domain", verb_domain },
    { "user", verb_user },
    { "passwd", verb_passwd },
    { "alias", verb_alias },
    { "mime", run_mime },
    { "help", verb_help },
    { "--help", verb_help },
    { "version", verb_version },
    { "--version", verb_version },
};

static void choose_language(void)
{
    static const char *const names[] = { "BARID_LANG", "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) {
            lang_set(lang_from_text(value));
            return;
        }
    }
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    int at = 1;
    (void)signal(SIGPIPE, SIG_IGN);
    choose_language();
    for (; at < argc && argv[at][0] == '-' && strcmp(argv[at], "--help") != 0 &&
           strcmp(argv[at], "--version") != 0;
         at++) {
        if (strcmp(argv[at], "--json") == 0) {
            cli.json = true;
            continue;
        }
        bool file = strcmp(argv[at], "-c") == 0;
        if (!file && strcmp(argv[at], "--lang") != 0) {
            cli_error(MSG_UNKNOWN_OPTION, argv[at]);
            return EX_USAGE;
        }
        if (at + 1 == argc) {
            cli_error(MSG_OPTION_NEEDS_VALUE, argv[at]);
            return EX_USAGE;
        }
        at++;
        if (file)
            cli.config_file = argv[at];
        else
            lang_set(lang_from_text(argv[at]));
    }
    if (at == argc) {
        cli_say(MSG_USAGE);
        return EX_USAGE;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, argv[at]) == 0)
            return verbs[i].run(&cli, argc - at, argv + at);
    cli_error(MSG_UNKNOWN_VERB, argv[at]);
    return EX_USAGE;
}
