/* barid config: says what a configuration means before a server runs with it. */
#include "bin/verb_config.h"

#include <stdio.h>
#include <string.h>

static int explain(int argc, char **argv)
{
    if (argc < 3) {
        cli_error(MSG_CONFIG_KEY_NEEDED);
        return EX_USAGE;
    }
    struct buf out;
    buf_init(&out, 0);
    enum err e = config_explain(slice_of(argv[2]), &out);
    (void)fwrite(buf_slice(&out).ptr, 1, buf_len(&out), e == ERR_OK ? stdout : stderr);
    buf_done(&out);
    return e == ERR_OK ? EX_OK : EX_USAGE;
}

int verb_config(const struct cli *cli, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "show";
    if (strcmp(what, "explain") == 0)
        return explain(argc, argv);
    if (strcmp(what, "check") != 0 && strcmp(what, "show") != 0) {
        cli_error(MSG_UNKNOWN_OPTION, what);
        return EX_USAGE;
    }
    struct config *config;
    if (cli_config(cli, &config) != ERR_OK)
        return EX_CONFIG;
    if (strcmp(what, "check") == 0) {
        cli_say(MSG_CONFIG_OK, config->file[0] ? config->file : tr(MSG_CONFIG_BUILTIN));
    } else {
        struct buf out;
        buf_init(&out, 0);
        config_show(config, &out);
        (void)fwrite(buf_slice(&out).ptr, 1, buf_len(&out), stdout);
        buf_done(&out);
    }
    config_unref(config);
    return EX_OK;
}
