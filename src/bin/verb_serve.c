/* barid serve, and what an administrator asks a server that runs. */
#include "bin/verb_serve.h"

#include "auth/directory.h"
#include "base/limits.h"
#include "bin/backup_files.h"
#include "server/core/control.h"
#include "server/imap/imapd.h"
#include "server/pop3/popd.h"
#include "server/smtp/smtpd.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define DRAIN_MS 10000

struct server_options serve_options(struct config *config, bool confine)
{
    return (struct server_options){ .config = config,
        .ops = { [PROTOCOL_IMAP] = &imapd_ops,
            [PROTOCOL_POP3] = &popd_ops,
            [PROTOCOL_SMTP] = &smtpd_ops,
            [PROTOCOL_SUBMISSION] = &smtpd_submission_ops,
            [PROTOCOL_LMTP] = &smtpd_lmtp_ops },
        .confine = confine };
}

static sigset_t serve_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void serve_block_signals(void)
{
    sigset_t set = serve_signals();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void serve_until_signal(struct server *server)
{
    sigset_t set = serve_signals();
    for (int got = 0; sigwait(&set, &got) == 0;) {
        if (got != SIGHUP)
            break;
        struct err_note note = { "" };
        enum err e = server_reload(server, &note);
        if (e != ERR_OK || note.text[0])
            cli_error_text(note.text);
    }
    server_stop(server, DRAIN_MS);
}

/* Many accounts and connections are open at once; secrets do not go into core files. */
static void set_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct rlimit core = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &core);
}

/* Room for bodies is asked for again at once: giving it back to the system in between costs a page fault for every 4 KiB. Each of the C library's heaps
 * keeps this much at most. */
#define HEAP_KEEPS_BYTES (1 << 20)
static void set_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 4 * HEAP_KEEPS_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEEPS_BYTES);
}

int verb_serve(const struct cli *cli, int argc, char **argv)
{
    if (argc > 1) {
        cli_error(MSG_UNKNOWN_OPTION, argv[1]);
        return EX_USAGE;
    }
    struct config *config;
    if (cli_config(cli, &config) != ERR_OK)
        return EX_CONFIG;
    set_limits();
    set_memory();
    serve_block_signals();
    struct server_options options = serve_options(config, true);
    struct server *server = NULL;
    struct err_note note = { "" };
    enum err e = server_new(&options, &server, &note);
    if (e == ERR_OK)
        e = server_start(server, &note);
    if (e == ERR_OK)
        serve_until_signal(server);
    else
        cli_error_text(note.text[0] ? note.text : err_words(e));
    server_free(server);
    config_unref(config);
    return cli_exit_code(e);
}

int verb_status(const struct cli *cli, int argc, char **argv)
{
    if (argc > 1) {
        cli_error(MSG_UNKNOWN_OPTION, argv[1]);
        return EX_USAGE;
    }
    struct config *config;
    if (cli_config(cli, &config) != ERR_OK)
        return EX_CONFIG;
    bool ok = false;
    bool asked = cli_ask_server(config, cli->json ? "status-json\n" : "status\n", &ok);
    if (!asked)
        cli_error(MSG_NO_SERVER, config->data_dir);
    config_unref(config);
    return asked && ok ? EX_OK : EX_UNAVAILABLE;
}

/* ---- fsck and rebuild ---- */

struct checking {
    struct config *config;
    struct store *store; /* NULL: a server runs and does the work */
    bool repair, rebuild;
    size_t findings;
    bool failed;
};

static void on_line(void *tell_arg, struct slice line)
{
    struct checking *c = tell_arg;
    if (slice_starts(line, SLICE("found ")) || slice_starts(line, SLICE("repaired ")))
        c->findings++;
    if (!slice_eq(line, SLICE("ok")))
        (void)printf("  %.*s\n", SLICE_FMT(line));
}

static void on_finding(void *tell_arg, const char *text, bool repaired)
{
    struct checking *c = tell_arg;
    c->findings++;
    (void)printf("  %s %s\n", repaired ? "repaired" : "found", text);
}

static enum err by_server(struct checking *c, const char *id)
{
    char line[128];
    bool ok = false;
    if (c->rebuild)
        (void)snprintf(line, sizeof line, "rebuild %s\n", id);
    else
        (void)snprintf(line, sizeof line, "fsck %s %s\n", id, c->repair ? "repair" : "check");
    TRY(control_ask(c->config->data_dir, line, on_line, c, &ok));
    return ok ? ERR_OK : ERR_IO;
}

static enum err by_hand(struct checking *c, const char *id)
{
    uint64_t changed = 0;
    enum err e = c->rebuild ? store_rebuild(c->store, slice_of(id), &changed)
                            : store_fsck(c->store, slice_of(id), c->repair, on_finding, c);
    if (c->rebuild && e == ERR_OK)
        (void)printf("  rebuilt %llu\n", (unsigned long long)changed);
    return e == ERR_NOT_FOUND ? ERR_OK : e; /* no mail yet */
}

static void check_user(struct checking *c, const struct user *user)
{
    size_t before = c->findings;
    (void)printf("%s\n", user->address);
    enum err e = c->store ? by_hand(c, user->id) : by_server(c, user->id);
    if (e != ERR_OK) {
        c->failed = true;
        cli_error(MSG_FAILED, err_words(e));
    } else if (!c->rebuild && c->findings == before) {
        cli_say(MSG_FSCK_CLEAN);
    }
}

static enum err check_users(struct checking *c, struct directory *directory, const char *address)
{
    struct arena arena;
    struct user one, *users = &one;
    size_t count = 1;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = address ? directory_user(directory, slice_of(address), &one)
                         : directory_users(directory, SLICE_EMPTY, &arena, &users, &count);
    for (size_t i = 0; i < count && e == ERR_OK; i++)
        check_user(c, &users[i]);
    arena_done(&arena);
    return e;
}

static int check(const struct cli *cli, struct checking *c, const char *address)
{
    if (cli_config(cli, &c->config) != ERR_OK)
        return EX_CONFIG;
    char path[700];
    struct err_note note = { "" };
    struct directory *directory = NULL;
    struct store_options options = { .root = c->config->data_dir };
    (void)snprintf(path, sizeof path, "%s/directory.db", c->config->data_dir);
    bool ok = false;
    bool running = control_ask(c->config->data_dir, "status\n", NULL, NULL, &ok) == ERR_OK;
    enum err e = directory_open(path, false, &directory, &note);
    if (e == ERR_OK && !running)
        e = store_open(&options, &c->store, &note);
    if (e != ERR_OK) {
        cli_error_text(note.text[0] ? note.text : err_words(e));
    } else {
        e = check_users(c, directory, address);
        if (e == ERR_NOT_FOUND)
            cli_error(MSG_NO_SUCH_USER, address ? address : "");
    }
    bool by_us = c->store != NULL;
    store_close(c->store);
    directory_close(directory);
    if (by_us) /* what root's opening made is for the user that the server runs as */
        (void)!backup_give_tree(options.root, ".");
    config_unref(c->config);
    if (e != ERR_OK)
        return cli_exit_code(e);
    return c->failed ? EX_IOERR : c->findings > 0 ? 1 : EX_OK;
}

int verb_fsck(const struct cli *cli, int argc, char **argv)
{
    struct checking c = { 0 };
    const char *address = NULL;
    bool all = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--repair") == 0) {
            c.repair = true;
        } else if (strcmp(argv[i], "--all") == 0) {
            all = true;
        } else if (argv[i][0] == '-' || address) {
            cli_error(MSG_UNKNOWN_OPTION, argv[i]);
            return EX_USAGE;
        } else {
            address = argv[i];
        }
    }
    if (!address == !all) {
        cli_error(MSG_ADDRESS_NEEDED, "fsck");
        return EX_USAGE;
    }
    return check(cli, &c, address);
}

int verb_rebuild(const struct cli *cli, int argc, char **argv)
{
    struct checking c = { .rebuild = true };
    if (argc != 2 || argv[1][0] == '-') {
        cli_error(MSG_ADDRESS_NEEDED, "rebuild");
        return EX_USAGE;
    }
    return check(cli, &c, argv[1]);
}
