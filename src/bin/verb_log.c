/* The log verb: where a message is, by its Message-ID. */
#include "bin/mail_session.h"
#include "bin/send_common.h"
#include "bin/verb_files.h"

#include "base/cleanup.h"
#include "base/utf8.h"
#include "bin/json.h"
#include "client/smtp/smtpc_queue.h"
#include "fetch/state.h"
#include "sync/state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID_BYTES_MAX    998u /* of a line (RFC 5322 §2.1.1) */
#define ARENA_BYTES_MAX (1u << 30)

struct looking {
    const struct cli *cli;
    struct mail_session *session;
    const char *id; /* "<...>" */
    size_t found;
};

/* ---- the id ---- */

static bool is_id(struct slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (slice_at(id, i) < ' ' || slice_at(id, i) == 0x7f || id.ptr[i] == '<' ||
            id.ptr[i] == '>')
            return false;
    return id.len > 0 && id.len <= ID_BYTES_MAX && utf8_valid(id);
}

/* With "<" and ">", as it stands in the field; NULL: it can be none. Owned by the caller. */
static char *read_id(const char *word)
{
    struct slice id = slice_of(word);
    char *text = NULL;
    if (slice_starts(id, SLICE("<")))
        id = slice_from_index(id, 1);
    if (id.len && id.ptr[id.len - 1] == '>')
        id.len--;
    if (is_id(id) && asprintf(&text, "<%.*s>", SLICE_FMT(id)) < 0)
        abort();
    return text;
}

static bool is_there(const char *folder, const char *name)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return access(path, F_OK) == 0;
}

/* ---- the queue ---- */

static void show_recipient(
    const struct looking *l, const char *id, const struct smtpc_recipient *one)
{
    static const char *const fates[] = { "waits", "sent", "refused" };
    struct buf why;
    if (l->cli->json) {
        printf("{\"where\":\"queue\",\"id\":\"%s\",\"to\":", id);
        json_print(slice_of(one->address));
        printf(
            ",\"state\":\"%s\",\"code\":%d,\"text\":", fates[one->outcome.fate], one->outcome.code);
        json_print(slice_of(one->outcome.text));
        puts("}");
        return;
    }
    buf_init(&why, 0);
    send_add_outcome(&one->outcome, &why);
    buf_addc(&why, '\0');
    if (one->outcome.fate == SMTPC_SENT)
        cli_say(MSG_LOG_SENT, id, one->address);
    else if (one->outcome.fate == SMTPC_REFUSED)
        cli_say(MSG_LOG_REFUSED, id, one->address, buf_slice(&why).ptr);
    else
        cli_say(MSG_LOG_QUEUE, id, one->address, buf_slice(&why).ptr);
    buf_done(&why);
}

/* Records hold the id as the field has it, with what stood around it. */
static void look_at_record(struct looking *l, const char *id, const struct smtpc_record *record)
{
    if (!slice_eq(slice_trim(slice_of(record->message_id)), slice_of(l->id)))
        return;
    l->found++;
    for (size_t i = 0; i < record->count; i++)
        show_recipient(l, id, &record->recipients[i]);
}

static int look_into_queue(struct looking *l)
{
    struct smtpc_queue queue;
    struct smtpc_ids ids = { .all = NULL };
    struct err_note note = { "" };
    const char *folder = l->session->use.state_folder;
    int code = EX_OK;
    if (!is_there(folder, "queue"))
        return EX_OK;
    enum err e = smtpc_queue_open(folder, &queue, &note);
    if (e != ERR_OK) {
        cli_error_text(note.text);
        return EX_IOERR;
    }
    e = smtpc_queue_ids(&queue, &ids, &note);
    for (size_t i = 0; e == ERR_OK && i < ids.count; i++) {
        struct smtpc_record record;
        enum err one = smtpc_queue_read(&queue, ids.all[i], &record, &note);
        if (one == ERR_NOT_FOUND) /* sent at this moment */
            continue;
        if (one != ERR_OK) {
            cli_error_text(note.text);
            code = EX_SOFTWARE;
            continue;
        }
        look_at_record(l, ids.all[i], &record);
        smtpc_record_done(&record);
    }
    free(ids.all);
    smtpc_queue_close(&queue);
    if (e != ERR_OK)
        cli_error_text(note.text);
    return e == ERR_OK ? code : EX_SOFTWARE;
}

/* ---- what sync knows ---- */

struct here {
    struct looking *looking;
    int root_fd;
};

/* The file of a base, "" when it is gone: its flags, and so its name, may have changed. */
static char *path_of(const struct here *here, const char *path, const char *base)
{
    const char *maildir = here->looking->session->use.account->maildir;
    struct near_folder folder;
    struct sync_keywords keywords = { .names = { NULL } };
    struct arena arena;
    char *found = NULL;
    if (here->root_fd < 0 || !*base ||
        near_open(here->root_fd, path, NEAR_READ, &folder, NULL) != ERR_OK)
        return mem_strdup("");
    arena_init(&arena, ARENA_BYTES_MAX);
    if (near_scan(&folder, &arena, &keywords, NULL) == ERR_OK) {
        const struct near_file *file = near_find(&folder, slice_of(base));
        if (file && asprintf(&found, "%s/%s/%s/%s", maildir, path, file->in_new ? "new" : "cur",
                        file->name) < 0)
            abort();
    }
    sync_keywords_done(&keywords);
    arena_done(&arena);
    near_close(&folder);
    return found ? found : mem_strdup("");
}

static enum message_id text_of(const struct sync_row *row, const char *file)
{
    if (row->kind == SYNC_TAKEN)
        return MSG_LOG_LEFT;
    if (!*file)
        return MSG_LOG_GONE_HERE;
    return row->kind == SYNC_UP ? MSG_LOG_GOING_UP : MSG_LOG_HERE;
}

static enum err found_here(void *arg, const char *path, const struct sync_row *row)
{
    static const char *const kinds[] = { "both", "coming", "going", "left" };
    struct here *here = arg;
    autofree char *file = path_of(here, path, row->base);
    here->looking->found++;
    if (here->looking->cli->json) {
        fputs("{\"where\":\"sync\",\"folder\":", stdout);
        json_print(slice_of(path));
        printf(",\"state\":\"%s\",\"uid\":%" PRIu32 ",\"file\":", kinds[row->kind], row->uid);
        json_print(slice_of(file));
        puts("}");
        return ERR_OK;
    }
    autofree char *shown = cli_safe(slice_of(*file ? file : path));
    cli_say(text_of(row, file), shown);
    return ERR_OK;
}

/* The hash that rows have of a Message-ID is that of its field. */
static uint64_t hash_of(const char *id)
{
    struct buf header;
    buf_init(&header, 0);
    buf_addf(&header, "Message-ID: %s\n\n", id);
    uint64_t hash = sync_message_id(buf_slice(&header));
    buf_done(&header);
    return hash;
}

static int look_into_sync(struct looking *l)
{
    const struct client_use *use = &l->session->use;
    struct here here = { .looking = l, .root_fd = -1 };
    struct state *state = NULL;
    struct err_note note = { "" };
    autofree char *path = NULL;
    if (!is_there(use->state_folder, "sync.db"))
        return EX_OK;
    if (asprintf(&path, "%s/sync.db", use->state_folder) < 0)
        abort();
    enum err e = state_open(path, &state, &note);
    if (e == ERR_BUSY) {
        cli_error(MSG_LOG_SYNC_RUNS);
        return EX_TEMPFAIL;
    }
    if (e == ERR_OK) {
        if (use->account->maildir)
            here.root_fd = open(use->account->maildir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        e = state_find(state, hash_of(l->id), found_here, &here);
        if (here.root_fd >= 0)
            close(here.root_fd);
    }
    state_close(state);
    if (e == ERR_OK)
        return EX_OK;
    cli_error_text(note.text[0] ? note.text : err_words(e));
    return EX_SOFTWARE;
}

/* ---- the server, and what fetch knows of its INBOX ---- */

static void look_into_fetch(struct looking *l, uint32_t uidvalidity, uint32_t uid)
{
    const struct client_use *use = &l->session->use;
    struct fetch_state *state = NULL;
    struct fetch_record record;
    struct err_note note = { "" };
    char key[32], when[32];
    if (!is_there(use->state_folder, "pop3.db"))
        return;
    if (fetch_state_open(use->state_folder, use->account->imap.host, use->account->user, &state,
            &note) != ERR_OK) {
        cli_error_text(note.text);
        return;
    }
    snprintf(key, sizeof key, "u%u.%u", uidvalidity, uid);
    enum err e = fetch_state_get(state, slice_of(key), &record);
    fetch_state_close(state);
    bool fetched =
        e == ERR_OK && (record.known == FETCH_FETCHED || record.known == FETCH_DELETING ||
                           record.known == FETCH_DELETED);
    if (!fetched)
        return;
    l->found++;
    if (l->cli->json)
        printf("{\"where\":\"fetch\",\"at\":%" PRId64 "}\n", record.at_s);
    else
        cli_say(MSG_LOG_FETCHED, cli_time(record.at_s, when, sizeof when));
}

static enum err found_there(void *arg, const struct imapc_folder *folder, uint32_t uidvalidity,
    const struct imapc_message *message)
{
    struct looking *l = arg;
    char when[32], size[48];
    l->found++;
    if (l->cli->json) {
        fputs("{\"where\":\"server\",\"folder\":", stdout);
        json_print(slice_of(folder->name));
        printf(",\"uid\":%" PRIu32 ",\"bytes\":%" PRIu64 ",\"received\":%" PRId64 ",\"seen\":%s}\n",
            message->uid, message->bytes, message->received_s,
            imap_value_has(message->flags, SLICE("\\Seen")) ? "true" : "false");
    } else {
        autofree char *name = cli_safe(slice_of(folder->name));
        cli_say(MSG_LOG_SERVER, name, (unsigned)message->uid,
            cli_time(message->received_s, when, sizeof when),
            client_size(message->bytes, size, sizeof size));
    }
    if (slice_eq_nocase(slice_of(folder->name), SLICE("INBOX")))
        look_into_fetch(l, uidvalidity, message->uid);
    return ERR_OK;
}

static int look_on_server(struct looking *l)
{
    struct mail_session *session = l->session;
    if (!session->use.account->imap.host)
        return EX_OK;
    int code = mail_log_in(session);
    if (!code)
        code = mail_folders(session, false);
    if (code)
        return code;
    enum err e =
        imapc_find_message(session->imap, &session->folders, slice_of(l->id), found_there, l);
    return e == ERR_OK ? EX_OK : mail_failed(session, e);
}

/* ---- the verb ---- */

/* What is known here is told first: the server may be away. */
static int look(struct looking *l)
{
    int code = look_into_queue(l);
    int sync = look_into_sync(l);
    fflush(stdout);
    int server = look_on_server(l);
    code = code ? code : sync ? sync : server;
    if (code || l->found)
        return code;
    autofree char *id = cli_safe(slice_of(l->id));
    if (!l->cli->json)
        cli_say(MSG_LOG_NOWHERE, id, l->session->use.account->name);
    return EX_NOINPUT;
}

int verb_log(const struct cli *cli, int argc, char **argv)
{
    struct mail_session session = { .imap = NULL };
    if (argc < 2 || argc > 3 || argv[1][0] == '-' || (argc == 3 && argv[2][0] == '-'))
        return mail_usage(MSG_LOG_USAGE);
    autofree char *id = read_id(argv[1]);
    if (!id) {
        autofree char *shown = cli_safe(slice_of(argv[1]));
        cli_error(MSG_LOG_BAD_ID, shown);
        return EX_USAGE;
    }
    struct looking l = { .cli = cli, .session = &session, .id = id };
    int code = client_use_begin(&session.use, argc == 3 ? argv[2] : NULL);
    if (!code)
        code = look(&l);
    mail_end(&session);
    return code;
}
