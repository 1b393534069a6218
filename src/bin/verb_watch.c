/* The watch verb.
 *
 *     connect ─► send what waits ─► sync ─► wait: the server tells of a change, a Maildir changes, or --every is over ─► sync ─► ...
 *        ▲                                    │ the connection is lost
 *        └────── a pause that grows ◄─────────┘
 *
 * It may be killed at any moment, as sync may. Folders beside INBOX wait for --every where the server does not know NOTIFY (RFC 5465). */
#include "bin/verb_watch.h"

#include "base/cleanup.h"
#include "bin/client_imap.h"
#include "bin/send_common.h"
#include "bin/sync_show.h"
#include "client/core/command.h"
#include "sync/near.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define WATCH_EVERY_S                                                                              \
    300 /* folders that nobody tells of; also shorter than any server's IDLE limit */
#define WATCH_EVERY_S_MAX 1500 /* RFC 2177: a client that idles for 29 minutes may be logged out */
#define WATCH_PAUSE_S     2    /* after a lost connection; doubled each time */
#define WATCH_PAUSE_S_MAX 300
#define WATCH_HOOK_MS     60000
#define WATCH_HOOK_BYTES  65536u /* what a hook says is thrown away; more than this is a mistake */
#define WATCH_TURNS_MAX   3
#define WATCH_SETTLE_MS   200 /* a program that moves many files moves more in a moment */

struct words {
    const char *account, *hook;
    uint64_t every_s;
};

static int read_words(struct words *words, int argc, char **argv)
{
    words->every_s = WATCH_EVERY_S;
    for (int i = 1; i < argc; i++) {
        bool every = strcmp(argv[i], "--every") == 0, hook = strcmp(argv[i], "--hook") == 0;
        if ((every || hook) && i + 1 == argc) {
            cli_error(MSG_OPTION_NEEDS_VALUE, argv[i]);
            return EX_USAGE;
        }
        if (every &&
            (slice_to_u64(slice_of(argv[++i]), WATCH_EVERY_S_MAX, &words->every_s) != ERR_OK ||
                words->every_s == 0)) {
            cli_error(MSG_WATCH_EVERY_BAD, WATCH_EVERY_S_MAX);
            return EX_USAGE;
        }
        if (hook)
            words->hook = argv[++i];
        if (every || hook)
            continue;
        if (argv[i][0] == '-' || words->account) {
            fprintf(stderr, "%s\n", tr(MSG_WATCH_USAGE));
            return EX_USAGE;
        }
        words->account = argv[i];
    }
    return EX_OK;
}

/* ---- the near side ---- */

/* -1: the system has none left; then changes here wait for --every. */
struct near_watch {
    int fd;
    const char *root;
};

static void watch_one(int fd, const char *root, const char *path, const char *part)
{
    autofree char *whole = NULL;
    if (asprintf(&whole, "%s/%s/%s", root, path, part) < 0)
        abort();
    (void)inotify_add_watch(fd, whole,
        IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_CREATE | IN_ONLYDIR |
            IN_DONT_FOLLOW);
}

static enum err watch_folder(void *arg, const char *path)
{
    struct near_watch *watch = arg;
    watch_one(watch->fd, watch->root, path, "cur");
    watch_one(watch->fd, watch->root, path, "new");
    return ERR_OK;
}

/* Anew for each run: folders come and go. */
static int watch_near(const struct client_account *account)
{
    struct err_note note;
    struct near_watch watch = { .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
        .root = account->maildir };
    if (watch.fd >= 0 &&
        near_list(account->maildir, account->layout, watch_folder, &watch, &note) != ERR_OK) {
        close(watch.fd);
        watch.fd = -1;
    }
    return watch.fd;
}

/* ---- one round ---- */

static void pause_ms(int64_t ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static bool did_something(const struct sync_counts *c)
{
    return c->down || c->up || c->near_flags || c->far_flags || c->near_removed || c->far_removed ||
           c->near_moved || c->far_moved || c->near_folders || c->far_folders || c->stopped ||
           c->braked || c->failed;
}

static void run_hook(const char *hook, const struct client_account *account, uint64_t down)
{
    char count[24];
    struct err_note note = { "" };
    struct buf out;
    snprintf(count, sizeof count, "%llu", (unsigned long long)down);
    char *words[] = { mem_strdup(hook), mem_strdup(account->name), count, NULL };
    buf_init(&out, 0);
    if (client_command_read(words, hook, WATCH_HOOK_MS, WATCH_HOOK_BYTES, &out, &note) != ERR_OK)
        cli_error(MSG_WATCH_HOOK_FAILED, hook, note.text);
    buf_done(&out);
    free(words[0]);
    free(words[1]);
}

static enum err round_of(const struct cli *cli, const struct words *words, struct client_use *use,
    struct imapc *imap, bool *out_did, struct imapc_known *known, struct client_failure *failure)
{
    struct sync_show show = { .live = false };
    struct sync_counts counts;
    struct sync_options options = { .imap = imap,
        .account = use->account,
        .state_folder = use->state_folder,
        .home = getenv("HOME"),
        .known = known,
        .tell = sync_show_event,
        .arg = &show };
    enum err e = sync_run(&options, &counts, failure);
    *out_did = did_something(&counts);
    if (cli->json && (e != ERR_OK || *out_did))
        sync_show_json(use->account, &counts, failure, false);
    else if (!cli->json && *out_did)
        sync_show_counts(use->account, &counts, false);
    fflush(stdout);
    if (counts.down && words->hook)
        run_hook(words->hook, use->account, counts.down);
    return e;
}

static bool has_event(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    return fd >= 0 && poll(&wait, 1, 0) > 0;
}

/* What is known when the rounds are over. */
struct settled {
    int near_fd;              /* owned; tells of the next change here */
    struct imapc_known known; /* owned; as the last round saw it */
    bool worked;              /* a round did something */
};

/* Rounds until one did nothing and nothing happened here meanwhile: a change that comes while a round runs, after it looked at that folder, is not
 * overlooked. A folder that is left alone each time is no reason to go round for ever. */
static enum err settle(const struct cli *cli, const struct words *words, struct client_use *use,
    struct imapc *imap, struct settled *out, struct client_failure *failure)
{
    out->worked = false;
    for (int turn = 0;; turn++) {
        bool did;
        int fd = watch_near(use->account);
        enum err e = round_of(cli, words, use, imap, &did, &out->known, failure);
        bool again = (did || has_event(fd)) && turn < WATCH_TURNS_MAX;
        out->worked |= did;
        if (e == ERR_OK && !again) {
            out->near_fd = fd;
            return ERR_OK;
        }
        if (fd >= 0)
            close(fd);
        TRY(e);
    }
}

/* Mail that waits goes out as soon as there is a connection; without an SMTP server there is nothing to do. */
static void send_waiting(struct client_use *use)
{
    struct smtpc_queue queue;
    struct smtpc_flush_result result;
    struct err_note note;
    if (!use->account->smtp.host || smtpc_queue_open(use->state_folder, &queue, &note) != ERR_OK)
        return;
    if (smtpc_queue_lock(&queue, 0, &note) == ERR_OK)
        (void)send_flush(use, &queue, NULL, false, &result);
    smtpc_queue_close(&queue);
}

static enum err session(const struct cli *cli, const struct words *words, struct client_use *use,
    struct client_failure *failure, bool *out_worked)
{
    struct imapc *imap = NULL;
    TRY(client_imap_open(use, &imap, failure));
    enum err e = ERR_OK;
    bool news = false;
    struct settled settled = { .near_fd = -1 };
    imapc_known_init(&settled.known);
    while (e == ERR_OK) {
        bool here = false;
        send_waiting(use);
        e = settle(cli, words, use, imap, &settled, failure);
        if (e != ERR_OK)
            break;
        autoclose int near_fd = settled.near_fd;
        *out_worked = true;
        /* where the news was nothing to do for us a mailbox might differ each time, and nobody would ever wait */
        bool compare = !news || settled.worked;
        e = imapc_idle(imap, compare ? &settled.known : NULL, near_fd, (int)words->every_s * 1000,
            &news, &here);
        if (e != ERR_OK)
            (void)imapc_failed(imap, failure);
        if (here)
            pause_ms(WATCH_SETTLE_MS);
    }
    imapc_known_done(&settled.known);
    imapc_close(imap);
    return e;
}

/* What passes by itself. */
static bool passes(const struct client_failure *failure)
{
    return client_exit_code(failure) == EX_TEMPFAIL;
}

static int watch(const struct cli *cli, const struct words *words, struct client_use *use)
{
    if (!use->account->imap.host || !use->account->maildir) {
        cli_error(
            use->account->imap.host ? MSG_SYNC_NO_MAILDIR : MSG_SYNC_NO_IMAP, use->account->name);
        return EX_CONFIG;
    }
    int64_t pause_s = WATCH_PAUSE_S;
    for (bool first = true;; first = false) {
        struct client_failure failure = { .why = CLIENT_WHY_NONE };
        bool worked = false;
        int code = client_use_secret(use); /* after hours a token is another one */
        if (code && (first || code != EX_TEMPFAIL))
            return code;
        if (!code) {
            (void)session(cli, words, use, &failure, &worked);
            code = client_say_failure(use, &use->account->imap, &failure);
            if (!passes(&failure))
                return code;
        }
        pause_s = worked ? WATCH_PAUSE_S : pause_s;
        pause_ms(pause_s * 1000);
        pause_s = pause_s * 2 > WATCH_PAUSE_S_MAX ? WATCH_PAUSE_S_MAX : pause_s * 2;
    }
}

int verb_watch(const struct cli *cli, int argc, char **argv)
{
    struct words words = { 0 };
    struct client_use use;
    int code = read_words(&words, argc, argv);
    if (code)
        return code;
    code = client_use_begin(&use, words.account);
    if (!code)
        code = watch(cli, &words, &use);
    client_use_done(&use);
    return code;
}
