/* The ls, search and quota verbs: what is there. */
#include "bin/json.h"
#include "bin/mail_session.h"
#include "bin/mail_show.h"
#include "bin/verb_mail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 50u
#define ROWS_MAX     4294967295u

static int read_count(const char *word, uint64_t *out_count)
{
    if (!word)
        return EX_USAGE;
    if (slice_to_u64(slice_of(word), ROWS_MAX, out_count) == ERR_OK && *out_count)
        return EX_OK;
    cli_error(MSG_MAIL_BAD_COUNT);
    return EX_USAGE;
}

/* ---- ls ---- */

static void show_folder(const struct imapc_folder *folder)
{
    struct buf line;
    buf_init(&line, 0);
    if (folder->has_status)
        buf_addf(&line, "%8u %8u  ", folder->messages, folder->unseen);
    else
        buf_addf(&line, "%8s %8s  ", "-", "-");
    mail_add_isolated(slice_of(folder->name), &line);
    if (folder->use)
        buf_addf(&line, "  (%s)", imapc_use_name(folder->use) + 1);
    buf_addc(&line, '\n');
    fwrite(buf_slice(&line).ptr, 1, buf_len(&line), stdout);
    buf_done(&line);
}

static void show_folder_json(const struct imapc_folder *folder)
{
    printf("{\"folder\":");
    json_print(slice_of(folder->name));
    if (folder->has_status)
        printf(",\"messages\":%u,\"unseen\":%u", folder->messages, folder->unseen);
    printf(",\"use\":\"%s\"}\n", imapc_use_name(folder->use) + (folder->use ? 1 : 0));
}

static int list_folders(const struct cli *cli, struct mail_session *session)
{
    int code = mail_folders(session, true);
    if (code)
        return code;
    if (!cli->json)
        cli_say(MSG_LS_FOLDERS);
    for (size_t i = 0; i < session->folders.count; i++) {
        if (session->folders.all[i].noselect)
            continue;
        if (cli->json)
            show_folder_json(&session->folders.all[i]);
        else
            show_folder(&session->folders.all[i]);
    }
    return EX_OK;
}

static int list_messages(
    const struct cli *cli, struct mail_session *session, const char *name, uint64_t count)
{
    const struct imapc_folder *folder;
    struct imapc_box box;
    struct buf set;
    int code = mail_select(session, name, true, &folder, &box);
    if (code)
        return code;
    imapc_box_done(&box);
    if (!box.exists) {
        if (!cli->json)
            cli_say(MSG_LS_EMPTY);
        return EX_OK;
    }
    struct mail_rows rows = { .json = cli->json, .folder = folder->name };
    buf_init(&set, 0);
    buf_addf(&set, "%u:*", box.exists > count ? (uint32_t)(box.exists - count + 1) : 1);
    enum err e = imapc_each(
        session->imap, buf_slice(&set), true, MAIL_ROW_FIELDS, box.exists, mail_show_row, &rows);
    buf_done(&set);
    if (e != ERR_OK)
        return mail_failed(session, e);
    if (!cli->json && box.exists > count)
        cli_say(MSG_LS_MORE, (unsigned long long)count, (unsigned long long)box.exists);
    return EX_OK;
}

int verb_ls(const struct cli *cli, int argc, char **argv)
{
    const char *word = NULL, *folder = "";
    uint64_t count = ROWS_DEFAULT;
    struct mail_session session;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) {
            count = ROWS_MAX;
        } else if (strcmp(argv[i], "-n") == 0) {
            if (read_count(mail_value(argc, argv, &i), &count) != EX_OK)
                return EX_USAGE;
        } else if (argv[i][0] == '-' || word) {
            return mail_usage(MSG_LS_USAGE);
        } else {
            word = argv[i];
        }
    }
    int code = mail_begin(&session, word, &folder);
    if (!code)
        code = *folder ? list_messages(cli, &session, folder, count) : list_folders(cli, &session);
    mail_end(&session);
    return code;
}

/* ---- search ---- */

struct search {
    const struct cli *cli;
    struct imapc_query query;
    uint64_t count; /* rows of a folder */
    uint64_t found;
};

static void keep_newest(struct uidset *uids, uint64_t count)
{
    struct uidset older;
    uint64_t members = uidset_members(uids);
    if (members <= count)
        return;
    uidset_init(&older);
    uidset_add_run(&older, 1, uidset_at(uids, (uint32_t)(members - count)));
    uidset_subtract(uids, &older);
    uidset_done(&older);
}

static enum err search_selected(
    struct search *search, struct mail_session *session, const struct imapc_folder *folder)
{
    struct mail_rows rows = { .json = search->cli->json, .folder = folder->name };
    struct uidset uids;
    uidset_init(&uids);
    enum err e = imapc_search(session->imap, &search->query, &uids);
    search->found += uidset_members(&uids);
    if (e == ERR_OK && !uidset_empty(&uids) && !rows.json) {
        struct buf line;
        buf_init(&line, 0);
        mail_add_isolated(slice_of(folder->name), &line);
        cli_say(MSG_SEARCH_FOLDER, (unsigned long long)uidset_members(&uids),
            SLICE_FMT(buf_slice(&line)));
        buf_done(&line);
    }
    keep_newest(&uids, search->count);
    if (e == ERR_OK)
        e = imapc_each_of(session->imap, &uids, MAIL_ROW_FIELDS, mail_show_row, &rows);
    uidset_done(&uids);
    return e;
}

static int search_one(
    struct search *search, struct mail_session *session, const struct imapc_folder *folder)
{
    struct imapc_box box;
    enum err e = imapc_select(session->imap, folder->far_name, true, &box);
    if (e == ERR_OK) {
        imapc_box_done(&box);
        e = search_selected(search, session, folder);
    }
    if (e == ERR_OK)
        return EX_OK;
    return mail_failed(session, e);
}

/* Folders that show what is in other folders are left out, where those are seen. */
static int search_all(struct search *search, struct mail_session *session)
{
    int worst = EX_OK;
    int code = mail_folders(session, false);
    for (size_t i = 0; code == EX_OK && i < session->folders.count; i++) {
        const struct imapc_folder *folder = &session->folders.all[i];
        if (folder->noselect || folder->use == IMAPC_USE_ALL || folder->use == IMAPC_USE_FLAGGED)
            continue;
        int one = search_one(search, session, folder);
        worst = one ? one : worst;
        if (imapc_is_broken(session->imap))
            return one;
    }
    return code ? code : worst;
}

static int run_search(struct search *search, const char *word, bool all)
{
    struct mail_session session;
    const struct imapc_folder *folder;
    const char *name;
    int code = mail_begin(&session, word, &name);
    if (!code && all != !*name)
        code = mail_usage(MSG_SEARCH_USAGE);
    else if (!code && all)
        code = search_all(search, &session);
    else if (!code && !(code = mail_find(&session, name, &folder)))
        code = search_one(search, &session, folder);
    mail_end(&session);
    if (!code && !search->found && !search->cli->json)
        cli_say(MSG_SEARCH_NOTHING);
    return code;
}

/* With --all the first word may be "ACCOUNT:"; it is found by its end. */
int verb_search(const struct cli *cli, int argc, char **argv)
{
    struct search search = { .cli = cli, .count = ROWS_DEFAULT };
    const char *bad = "";
    bool all = false;
    int words = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) {
            all = true;
        } else if (strcmp(argv[i], "-n") == 0) {
            if (read_count(mail_value(argc, argv, &i), &search.count) != EX_OK)
                return EX_USAGE;
        } else {
            argv[words++] = argv[i];
        }
    }
    bool has_place = !all || (words > 1 && argv[0][0] && argv[0][strlen(argv[0]) - 1] == ':');
    int first = has_place ? 1 : 0;
    if (words <= first)
        return mail_usage(MSG_SEARCH_USAGE);
    enum err e = imapc_query_make(&search.query, argv + first, (size_t)(words - first), &bad);
    int code = EX_USAGE;
    if (e == ERR_OK)
        code = run_search(&search, has_place ? argv[0] : NULL, all);
    else
        cli_error(e == ERR_LIMIT ? MSG_SEARCH_LONG : MSG_SEARCH_BAD, bad);
    imapc_query_done(&search.query);
    return code;
}

/* ---- quota ---- */

static void show_quota(const struct imapc_quota *quota)
{
    bool bytes = slice_eq_nocase(slice_of(quota->resource), SLICE("STORAGE"));
    char used[40], limit[40];
    double percent = quota->limit ? 100.0 * (double)quota->used / (double)quota->limit : 100.0;
    if (bytes) {
        cli_say(MSG_QUOTA_BYTES, client_size(quota->used * 1024, used, sizeof used),
            client_size(quota->limit * 1024, limit, sizeof limit), percent);
    } else if (slice_eq_nocase(slice_of(quota->resource), SLICE("MESSAGE"))) {
        cli_say(MSG_QUOTA_MESSAGES, (unsigned long long)quota->used,
            (unsigned long long)quota->limit, percent);
    } else {
        cli_print_safe(slice_of(quota->resource));
        printf(": %" PRIu64 " / %" PRIu64 "\n", quota->used, quota->limit);
    }
}

static void show_quota_json(const struct imapc_quota *quota)
{
    printf("{\"root\":");
    json_print(slice_of(quota->root));
    printf(",\"resource\":");
    json_print(slice_of(quota->resource));
    printf(",\"used\":%" PRIu64 ",\"limit\":%" PRIu64 "}\n", quota->used, quota->limit);
}

int verb_quota(const struct cli *cli, int argc, char **argv)
{
    struct mail_session session;
    struct imapc_quota *all = mem_zalloc(IMAPC_QUOTAS_MAX, sizeof *all);
    size_t count = 0;
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        free(all);
        return mail_usage(MSG_QUOTA_USAGE);
    }
    int code = mail_begin_account(&session, argc == 2 ? argv[1] : NULL);
    bool knows = !code && imapc_caps(session.imap) & IMAPC_QUOTA;
    enum err e = knows ? imapc_quotas(session.imap, all, &count) : ERR_OK;
    if (e != ERR_OK)
        code = mail_failed(&session, e);
    for (size_t i = 0; !code && i < count; i++) {
        if (cli->json)
            show_quota_json(&all[i]);
        else
            show_quota(&all[i]);
    }
    if (!code && count == 0 && !cli->json)
        cli_say(knows ? MSG_QUOTA_NONE : MSG_QUOTA_UNKNOWN);
    mail_end(&session);
    free(all);
    return code;
}
