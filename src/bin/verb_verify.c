/* The verify verb: both sides of a two-way copy, compared. */
#include "bin/client_imap.h"
#include "bin/mail_session.h"
#include "bin/sync_show.h"
#include "bin/verb_files.h"

#include "base/cleanup.h"
#include "bin/json.h"
#include "sync/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EX_DIFFERENT 21 /* a difference that no synchronisation would mend */
#define EX_BEHIND    22 /* only what the next synchronisation carries over */

static const char *const kind_names[VERIFY_KINDS] = { [VERIFY_ONLY_HERE] = "only_here",
    [VERIFY_ONLY_THERE] = "only_there",
    [VERIFY_FLAGS] = "flags",
    [VERIFY_BYTES] = "bytes",
    [VERIFY_NEXT] = "next" };

static const enum message_id kind_texts[VERIFY_KINDS] = {
    [VERIFY_ONLY_HERE] = MSG_VERIFY_ONLY_HERE,
    [VERIFY_ONLY_THERE] = MSG_VERIFY_ONLY_THERE,
    [VERIFY_FLAGS] = MSG_VERIFY_FLAGS,
    [VERIFY_BYTES] = MSG_VERIFY_BYTES,
    [VERIFY_NEXT] = MSG_VERIFY_NEXT,
};

/* ---- for people ---- */

/* " (12, 14, name.of.a.file, ...)" */
static void show_examples(const struct verify_folder *folder, int kind)
{
    uint64_t count = folder->counts[kind];
    fputs(" (", stdout);
    for (unsigned i = 0; i < count && i < VERIFY_EXAMPLES_MAX; i++) {
        const struct verify_example *one = &folder->examples[kind][i];
        fputs(i ? ", " : "", stdout);
        if (one->uid)
            printf("%" PRIu32, one->uid);
        else
            cli_print_safe(slice_of(one->file));
    }
    fputs(count > VERIFY_EXAMPLES_MAX ? ", ...)" : ")", stdout);
}

static void show_folder(const struct verify_folder *folder)
{
    const char *between = ": ";
    uint64_t sum = 0;
    for (int kind = 0; kind < VERIFY_KINDS; kind++)
        sum += folder->counts[kind];
    if (sum == 0 && !folder->whole)
        return;
    cli_print_safe(slice_of(folder->path));
    if (folder->whole) {
        fputs(between, stdout);
        cli_put(MSG_VERIFY_WHOLE);
    }
    for (int kind = 0; kind < VERIFY_KINDS; kind++) {
        if (folder->counts[kind] == 0)
            continue;
        fputs(between, stdout);
        cli_put(kind_texts[kind], (unsigned long long)folder->counts[kind]);
        show_examples(folder, kind);
        between = "; ";
    }
    putchar('\n');
}

/* ---- for programs ---- */

static void show_json(const struct verify_folder *folder)
{
    fputs("{\"folder\":", stdout);
    json_print(slice_of(folder->path));
    printf(",\"equal\":%" PRIu64 ",\"next_sync\":%s", folder->messages,
        folder->whole ? "true" : "false");
    for (int kind = 0; kind < VERIFY_KINDS; kind++)
        printf(",\"%s\":%" PRIu64, kind_names[kind], folder->counts[kind]);
    fputs(",\"examples\":{", stdout);
    const char *comma = "";
    for (int kind = 0; kind < VERIFY_KINDS; kind++) {
        if (folder->counts[kind] == 0)
            continue;
        printf("%s\"%s\":[", comma, kind_names[kind]);
        for (unsigned i = 0; i < folder->counts[kind] && i < VERIFY_EXAMPLES_MAX; i++) {
            const struct verify_example *one = &folder->examples[kind][i];
            printf("%s{\"uid\":%" PRIu32 ",\"file\":", i ? "," : "", one->uid);
            json_print(slice_of(one->file));
            putchar('}');
        }
        putchar(']');
        comma = ",";
    }
    puts("}}");
}

struct showing {
    const struct cli *cli;
    struct sync_show sync;
};

static void on_folder(void *arg, const struct verify_folder *folder)
{
    const struct showing *showing = arg;
    if (showing->cli->json)
        show_json(folder);
    else
        show_folder(folder);
    fflush(stdout);
}

static void on_event(void *arg, const struct sync_event *event)
{
    struct showing *showing = arg;
    sync_show_event(&showing->sync, event);
}

/* ---- the run ---- */

static int verdict(const struct verify_counts *counts)
{
    bool behind = counts->whole || counts->counts[VERIFY_NEXT];
    for (int kind = 0; kind < VERIFY_NEXT; kind++)
        if (counts->counts[kind])
            return EX_DIFFERENT;
    if (counts->stopped)
        return EX_TEMPFAIL;
    return behind ? EX_BEHIND : EX_OK;
}

static int run(const struct cli *cli, const struct mail_session *session, bool bytes)
{
    const struct client_use *use = &session->use;
    struct showing showing = { .cli = cli };
    struct verify_options options = { .imap = session->imap,
        .account = use->account,
        .state_folder = use->state_folder,
        .bytes = bytes,
        .folder = on_folder,
        .tell = on_event,
        .arg = &showing };
    struct verify_counts counts;
    struct client_failure failure;
    if (sync_verify(&options, &counts, &failure) != ERR_OK)
        return client_say_failure(use, &use->account->imap, &failure);
    int code = verdict(&counts);
    if (!cli->json && code == EX_OK)
        cli_say(MSG_VERIFY_EQUAL, use->account->name, (unsigned long long)counts.messages,
            (unsigned long long)counts.folders);
    else if (!cli->json && code == EX_BEHIND)
        cli_say(MSG_VERIFY_BEHIND, use->account->name, (unsigned long long)counts.messages);
    else if (!cli->json && code == EX_DIFFERENT)
        cli_say(MSG_VERIFY_DIFFERENT, use->account->name, (unsigned long long)counts.messages);
    return code;
}

/* An account that was never synchronised has nothing to compare, and gets no state from being asked. */
static bool was_synced(const struct client_use *use)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/sync.db", use->state_folder) < 0)
        abort();
    return access(path, F_OK) == 0;
}

static int verify(
    const struct cli *cli, struct mail_session *session, const char *account, bool bytes)
{
    *session = (struct mail_session){ .imap = NULL };
    int code = client_use_begin(&session->use, account);
    if (code)
        return code;
    const struct client_account *chosen = session->use.account;
    if (!chosen->maildir || !was_synced(&session->use)) {
        autofree char *name = cli_word(chosen->name);
        cli_error(MSG_VERIFY_NEVER, chosen->name, name);
        return EX_NOINPUT;
    }
    code = mail_log_in(session);
    return code ? code : run(cli, session, bytes);
}

int verb_verify(const struct cli *cli, int argc, char **argv)
{
    struct mail_session session;
    const char *account = NULL;
    bool bytes = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bytes") == 0)
            bytes = true;
        else if (argv[i][0] == '-' || account)
            return mail_usage(MSG_VERIFY_USAGE);
        else
            account = argv[i];
    }
    int code = verify(cli, &session, account, bytes);
    mail_end(&session);
    return code;
}
