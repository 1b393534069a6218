/* The copy verb: two accounts, two sessions, one run. */
#include "bin/verb_copy.h"

#include "bin/copy_show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_SETTLE_S_MAX 60u

struct words {
    const char *from, *to;
    const char **folders; /* owned; names */
    size_t count;
    int settle_ms;
    bool dry_run, quiet;
};

static bool take_settle(const char *word, int *out_ms)
{
    uint64_t seconds;
    if (slice_to_u64(slice_of(word), COPY_SETTLE_S_MAX, &seconds) != ERR_OK)
        return false;
    *out_ms = (int)seconds * 1000;
    return true;
}

static bool read_words(struct words *words, int argc, char **argv)
{
    words->folders = mem_zalloc((size_t)argc, sizeof *words->folders);
    words->settle_ms = COPY_SETTLE_MS;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc)
            words->folders[words->count++] = argv[++i];
        else if (strcmp(argv[i], "--settle") == 0 && i + 1 < argc &&
                 take_settle(argv[i + 1], &words->settle_ms))
            i++;
        else if (strcmp(argv[i], "--dry-run") == 0)
            words->dry_run = true;
        else if (strcmp(argv[i], "--quiet") == 0 || strcmp(argv[i], "-q") == 0)
            words->quiet = true;
        else if (argv[i][0] == '-' || words->to)
            return false;
        else if (words->from)
            words->to = argv[i];
        else
            words->from = argv[i];
    }
    return words->to != NULL;
}

static bool same_mailbox(const struct client_account *a, const struct client_account *b)
{
    bool hosts = a->imap.host && b->imap.host && strcmp(a->imap.host, b->imap.host) == 0;
    return strcmp(a->name, b->name) == 0 ||
           (hosts && a->imap.port == b->imap.port && strcmp(a->user, b->user) == 0);
}

static int say_failure(struct mail_session *from, struct mail_session *to, enum copy_side side,
    const struct client_failure *failure)
{
    struct mail_session *session = side == COPY_SIDE_FROM ? from : to;
    int code = client_say_failure(&session->use, &session->use.account->imap, failure);
    if (failure->why != CLIENT_WHY_RUNNING)
        cli_error_more(MSG_COPY_AGAIN);
    return code;
}

static int run(const struct cli *cli, const struct words *words, struct mail_session *from,
    struct mail_session *to, const struct imapc_folder *const *chosen)
{
    struct copy_show show = { .live = isatty(STDERR_FILENO) && !words->quiet && !cli->json,
        .json = cli->json,
        .from = from->use.account->name,
        .to = to->use.account->name,
        .folders = &from->folders };
    struct copy_options options = { .from = { from->imap, from->use.account, &from->folders },
        .to = { to->imap, to->use.account, &to->folders },
        .state_folder = to->use.state_folder,
        .chosen = chosen,
        .chosen_count = words->count,
        .dry_run = words->dry_run,
        .settle_ms = words->settle_ms,
        .tell = copy_show_event,
        .arg = &show };
    struct copy_counts counts;
    struct client_failure failure;
    enum copy_side side;
    copy_show_begin(&show, chosen, words->count);
    enum err e = copy_run(&options, &counts, &side, &failure);
    copy_show_end(&show, &counts, words->dry_run, words->quiet, e == ERR_OK ? NULL : &failure);
    return e == ERR_OK ? copy_exit_code(&counts) : say_failure(from, to, side, &failure);
}

/* The folders of both sides, those that were named among them. */
static int find_folders(const struct words *words, struct mail_session *from,
    struct mail_session *to, const struct imapc_folder **chosen)
{
    int code = mail_folders(from, isatty(STDERR_FILENO) && !words->quiet);
    if (!code) {
        enum err e = imapc_list_subscribed(from->imap, &from->folders);
        code = e == ERR_OK ? EX_OK : mail_failed(from, e);
    }
    for (size_t i = 0; !code && i < words->count; i++)
        code = mail_find(from, words->folders[i], &chosen[i]);
    return code ? code : mail_folders(to, false);
}

static int copy_accounts(const struct cli *cli, const struct words *words,
    struct mail_session *from, struct mail_session *to)
{
    if (same_mailbox(from->use.account, to->use.account)) {
        cli_error(MSG_COPY_SAME, words->from, words->to);
        return EX_USAGE;
    }
    const struct imapc_folder **chosen = mem_zalloc(words->count + 1, sizeof *chosen);
    int code = find_folders(words, from, to, chosen);
    if (!code)
        code = run(cli, words, from, to, words->count ? chosen : NULL);
    free(chosen);
    return code;
}

int verb_copy(const struct cli *cli, int argc, char **argv)
{
    struct words words = { .from = NULL };
    struct mail_session from, to = { .imap = NULL };
    if (!read_words(&words, argc, argv)) {
        free(words.folders);
        return mail_usage(MSG_COPY_USAGE);
    }
    int code = mail_begin_account(&from, words.from);
    if (!code)
        code = mail_begin_account(&to, words.to);
    if (!code)
        code = copy_accounts(cli, &words, &from, &to);
    mail_end(&to);
    mail_end(&from);
    free(words.folders);
    return code;
}
