/* main(): the options that every verb has, then the table of verbs. */
#include "bin/cli.h"
#include "bin/verb_account.h"
#include "bin/verb_backup.h"
#include "bin/verb_config.h"
#include "bin/verb_copy.h"
#include "bin/verb_demo.h"
#include "bin/verb_device.h"
#include "bin/verb_discover.h"
#include "bin/verb_explain.h"
#include "bin/verb_fetch.h"
#include "bin/verb_files.h"
#include "bin/verb_import.h"
#include "bin/verb_mail.h"
#include "bin/verb_mime.h"
#include "bin/verb_pop.h"
#include "bin/verb_queue.h"
#include "bin/verb_send.h"
#include "bin/verb_serve.h"
#include "bin/verb_sync.h"
#include "bin/verb_undo.h"
#include "bin/verb_user.h"
#include "bin/verb_watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static const struct verb {
    const char *name;
    int (*run)(const struct cli *cli, int argc, char **argv);
    enum message_id usage; /* what "barid VERB --help" says */
} verbs[] = {
    { "demo", verb_demo, MSG_DEMO_USAGE },
    { "serve", verb_serve, MSG_SERVE_USAGE },
    { "status", verb_status, MSG_STATUS_USAGE },
    { "fsck", verb_fsck, MSG_FSCK_USAGE },
    { "rebuild", verb_rebuild, MSG_REBUILD_USAGE },
    { "backup", verb_backup, MSG_BACKUP_USAGE },
    { "restore", verb_restore, MSG_RESTORE_USAGE },
    { "import", verb_import, MSG_BRING_USAGE },
    { "config", verb_config, MSG_CONFIG_USAGE },
    { "domain", verb_domain, MSG_DOMAIN_USAGE },
    { "user", verb_user, MSG_USER_USAGE },
    { "passwd", verb_passwd, MSG_PASSWD_USAGE },
    { "app-password", verb_app_password, MSG_APP_PASSWORD_USAGE },
    { "explain", verb_explain, MSG_EXPLAIN_USAGE },
    { "pop", verb_pop, MSG_POP_USAGE },
    { "device", verb_device, MSG_DEVICE_USAGE },
    { "alias", verb_alias, MSG_ALIAS_USAGE },
    { "discover", verb_discover, MSG_DISCOVER_USAGE },
    { "mime", verb_mime, MSG_MIME_USAGE },
    { "account", verb_account, MSG_ACCOUNT_USAGE },
    { "sync", verb_sync, MSG_SYNC_USAGE },
    { "watch", verb_watch, MSG_WATCH_USAGE },
    { "undo", verb_undo, MSG_UNDO_USAGE },
    { "copy", verb_copy, MSG_COPY_USAGE },
    { "fetch", verb_fetch, MSG_FETCH_USAGE },
    { "send", verb_send, MSG_SEND_USAGE },
    { "queue", verb_queue, MSG_QUEUE_USAGE },
    { "ls", verb_ls, MSG_LS_USAGE },
    { "search", verb_search, MSG_SEARCH_USAGE },
    { "flag", verb_flag, MSG_FLAG_USAGE },
    { "mv", verb_mv, MSG_MV_USAGE },
    { "rm", verb_rm, MSG_RM_USAGE },
    { "read", verb_read, MSG_READ_USAGE },
    { "save", verb_save, MSG_SAVE_USAGE },
    { "quota", verb_quota, MSG_QUOTA_USAGE },
    { "export", verb_export, MSG_EXPORT_USAGE },
    { "verify", verb_verify, MSG_VERIFY_USAGE },
    { "log", verb_log, MSG_LOG_USAGE },
    { "help", verb_help, MSG_USAGE },
    { "version", verb_version, MSG_USAGE },
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

struct command_line {
    struct cli cli;
    bool help, version;
    int argc; /* the verb and its words */
    char **argv;
};

/* -c FILE or --lang LANG; *at moves to the value. */
static bool take_value(struct command_line *line, int argc, char **argv, int *at)
{
    const char *option = argv[*at];
    if (++*at == argc) {
        cli_error(MSG_OPTION_NEEDS_VALUE, option);
        return false;
    }
    if (strcmp(option, "-c") == 0)
        line->cli.config_file = argv[*at];
    else
        lang_set(lang_from_text(argv[*at]));
    return true;
}

/* Takes the options that every verb has out of argv, wherever they stand; what is left is the verb's. */
static bool read_command_line(struct command_line *line, int argc, char **argv)
{
    line->argv = argv + 1;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (strcmp(word, "--json") == 0) {
            line->cli.json = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            line->help = true;
        } else if (strcmp(word, "--version") == 0) {
            line->version = true;
        } else if (strcmp(word, "-c") == 0 || strcmp(word, "--lang") == 0) {
            if (!take_value(line, argc, argv, &at))
                return false;
        } else if (line->argc == 0 && word[0] == '-') {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return false;
        } else {
            line->argv[line->argc++] = argv[at];
        }
    }
    return true;
}

/* Whoever read it wants no more. */
static bool is_closed_pipe(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&out, 1, 0) == 1 && out.revents & POLLERR;
}

/* What was printed is where it should be, else the command has not done what it was asked for: a message in a file may be cut. */
static int end_output(int code)
{
    errno = 0;
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    enum err e = errno ? err_from_errno(errno) : ERR_IO;
    if (!lost || is_closed_pipe())
        return code;
    cli_error(MSG_OUTPUT_LOST, err_words(e));
    return code ? code : EX_IOERR;
}

static int run(int argc, char **argv)
{
    struct command_line line = { 0 };
    if (!read_command_line(&line, argc, argv))
        return EX_USAGE;
    if (line.version)
        return verb_version(&line.cli, 0, NULL);
    if (line.argc == 0) {
        cli_say(MSG_USAGE);
        return line.help ? EX_OK : EX_USAGE;
    }
    bool about = strcmp(line.argv[0], "help") == 0 && line.argc > 1; /* barid help VERB */
    const char *name = line.argv[about ? 1 : 0];
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) != 0)
            continue;
        if (!line.help && !about)
            return verbs[i].run(&line.cli, line.argc, line.argv);
        cli_say(verbs[i].usage);
        return EX_OK;
    }
    cli_error(MSG_UNKNOWN_VERB, name);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    choose_language();
    return end_output(run(argc, argv));
}
