/* Files into an account: the reader of import/, the sender of copy/. */
#include "bin/import_account.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/rand.h"
#include "bin/copy_show.h"
#include "bin/mail_session.h"
#include "copy/copy.h"
#include "copy/names.h"
#include "copy/target.h"
#include "message/header.h"
#include "message/summary.h"

#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_PIECE_BYTES 65536u
#define HEADER_BYTES_MAX (256u << 10) /* in which a Message-ID is looked for */
#define FAILED_TOLD      20u /* messages that stay behind are told of one by one, up to so many */
#define WORK_FOLDER      "import" /* of the account's state: large messages on their way */

/* A message that was sent and has no answer: its bytes stay, because they may have to go once more. */
struct sent {
    struct blob *blob; /* shared, ref */
    char *flags;       /* owned */
    struct copy_item item;
    struct sent *next, *before; /* of all */
    bool again;                 /* it is to go once more */
};

/* The bytes of a message that is there: each is fetched once, however many are compared with it. */
struct known_bytes {
    bool asked, had;
    unsigned char hash[COPY_HASH_BYTES];
};

struct bringing {
    const struct import_account *args;
    struct import_account_result *result;
    struct copy_counts *counts; /* result's */
    struct copy_counts before;  /* the mailbox that is being read */
    struct copy_show show;
    uint64_t messages; /* that will be read */
    struct mail_session session;
    struct copy_target target;
    struct store *store;
    char *from_id, *to_id, *work; /* owned */
    char *mailbox;                /* owned; that is being read; NULL: none */
    char *to_name; /* owned; of it, as the server writes it; "" when it cannot have one there */
    bool skipped;  /* it is not brought */
    struct copy_list there;    /* by what find_there looks for */
    struct known_bytes *known; /* owned; one for each of these; NULL: none was asked for */
    uint64_t key[2];
    struct sent *all; /* owned */
    size_t again;     /* of them */
    bool keywords_told, full;
    bool disk; /* the last error is that of the work folder */
};

/* ---- what is told ---- */

static void tell(struct bringing *b, enum copy_event_kind kind, const char *text)
{
    struct copy_event event = {
        .kind = kind, .side = COPY_SIDE_TO, .folder = b->mailbox, .text = text, .counts = b->counts
    };
    copy_show_event(&b->show, &event);
}

/* Of the mailbox that was read. */
static void tell_mailbox(struct bringing *b)
{
    const struct copy_counts *all = b->counts, *before = &b->before;
    struct copy_counts here = { .copied = all->copied - before->copied,
        .bytes = all->bytes - before->bytes,
        .found = all->found - before->found,
        .known = all->known - before->known,
        .failed = all->failed - before->failed,
        .stopped = all->stopped - before->stopped };
    struct copy_event event = {
        .kind = COPY_FOLDER_DONE, .folder = b->mailbox, .to = b->to_name, .counts = &here
    };
    copy_show_event(&b->show, &event);
}

static void tell_failed(struct bringing *b, enum copy_answer answer, struct slice words)
{
    const char *account = b->session.use.account->name;
    if (b->counts->failed++ >= FAILED_TOLD)
        return;
    copy_show_clear(&b->show);
    autofree char *mailbox = cli_safe(slice_of(b->mailbox));
    autofree char *text = cli_safe(words);
    if (answer == COPY_TOO_BIG)
        cli_error(MSG_BRING_REFUSED_SIZE, mailbox, account);
    else
        cli_error(MSG_BRING_REFUSED, mailbox, account, text);
}

static void skip_mailbox(struct bringing *b, struct slice words)
{
    autofree char *text = mem_strndup(words.ptr, words.len);
    if (!b->skipped)
        tell(b, COPY_FOLDER_STOPPED, text);
    b->counts->stopped += !b->skipped;
    b->skipped = true;
}

static void keywords_lost(void *bringing_arg)
{
    struct bringing *b = bringing_arg;
    if (!b->keywords_told)
        tell(b, COPY_KEYWORDS_LOST, "");
    b->keywords_told = true;
}

/* ---- what is there ---- */

static int by_what(const void *x, const void *y)
{
    const struct copy_message *a = x, *b = y;
    if (a->message_id != b->message_id)
        return a->message_id < b->message_id ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return a->uid < b->uid ? -1 : a->uid > b->uid;
}

/* The first that is not before it. */
static size_t lower_bound(const struct copy_list *list, uint64_t message_id, uint64_t bytes)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct copy_message *m = &list->at[middle];
        bool before =
            m->message_id < message_id || (m->message_id == message_id && m->bytes < bytes);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum err hash_blob(struct blob *blob, unsigned char out_hash[COPY_HASH_BYTES])
{
    crypto_hash_sha256_state state;
    struct msg_source source = blob_source(blob);
    struct buf piece;
    enum err e = ERR_OK;
    buf_init(&piece, 0);
    (void)crypto_hash_sha256_init(&state);
    for (uint64_t at = 0; e == ERR_OK && at < source.size; at += buf_len(&piece)) {
        buf_clear(&piece);
        e = msg_source_read(&source, at, SEND_PIECE_BYTES, &piece);
        struct slice bytes = buf_slice(&piece);
        (void)crypto_hash_sha256_update(&state, (const unsigned char *)bytes.ptr, bytes.len);
    }
    buf_done(&piece);
    (void)crypto_hash_sha256_final(&state, out_hash);
    return e;
}

static enum err same_bytes(
    struct bringing *b, const unsigned char ours[COPY_HASH_BYTES], size_t at, bool *out_same)
{
    if (!b->known)
        b->known = mem_zalloc(b->there.count, sizeof *b->known);
    struct known_bytes *known = &b->known[at];
    if (!known->asked) {
        enum err e = copy_hash_message(b->session.imap, b->there.at[at].uid, known->hash);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
        known->had = e == ERR_OK;
        known->asked = true;
    }
    *out_same = known->had && memcmp(ours, known->hash, sizeof known->hash) == 0;
    return ERR_OK;
}

/* Of those without a Message-ID. */
static enum err find_by_bytes(
    struct bringing *b, struct blob *blob, struct copy_message **out_message)
{
    unsigned char ours[COPY_HASH_BYTES];
    uint64_t bytes = blob_size(blob);
    bool hashed = false, same = false;
    for (size_t i = lower_bound(&b->there, 0, bytes);
         !same && i < b->there.count && b->there.at[i].message_id == 0 &&
         b->there.at[i].bytes == bytes;
         i++) {
        if (b->there.at[i].mate)
            continue;
        enum err e = hashed ? ERR_OK : hash_blob(blob, ours);
        b->disk |= e != ERR_OK;
        TRY(e);
        hashed = true;
        TRY(same_bytes(b, ours, i, &same));
        if (same)
            *out_message = &b->there.at[i];
    }
    return ERR_OK;
}

/* What agrees best of those with the same Message-ID: size and date, size, date. */
static struct copy_message *find_by_id(
    struct bringing *b, uint64_t message_id, uint64_t bytes, int64_t received_s)
{
    struct copy_message *best = NULL;
    int best_rank = 0;
    for (size_t i = lower_bound(&b->there, message_id, 0);
         i < b->there.count && b->there.at[i].message_id == message_id; i++) {
        struct copy_message *m = &b->there.at[i];
        bool date = received_s && m->received_s == received_s;
        int rank = m->mate ? 0 : m->bytes == bytes ? 2 + date : date;
        if (rank > best_rank) {
            best_rank = rank;
            best = m;
        }
    }
    return best;
}

static enum err find_there(struct bringing *b, const struct import_item *item, uint64_t message_id,
    struct copy_message **out_message)
{
    *out_message = NULL;
    if (!message_id)
        return find_by_bytes(b, item->blob, out_message);
    *out_message = find_by_id(b, message_id, blob_size(item->blob), item->received_s);
    return ERR_OK;
}

/* ---- sending ---- */

static void sent_free(struct bringing *b, struct sent *sent)
{
    if (sent->before)
        sent->before->next = sent->next;
    else
        b->all = sent->next;
    if (sent->next)
        sent->next->before = sent->before;
    blob_unref(sent->blob);
    free(sent->flags);
    free(sent);
}

static enum err answered(
    void *bringing_arg, const struct copy_item *item, enum copy_answer answer, struct slice words)
{
    struct bringing *b = bringing_arg;
    struct sent *sent = item->owner;
    if (answer == COPY_KEYWORDS) {
        sent->item.plain = sent->again = true;
        b->again++;
        return ERR_OK;
    }
    uint64_t bytes = blob_size(sent->blob);
    sent_free(b, sent);
    b->counts->copied += answer == COPY_STORED;
    b->counts->bytes += answer == COPY_STORED ? bytes : 0;
    tell(b, COPY_PROGRESS, "");
    if (answer == COPY_STORED)
        return ERR_OK;
    if (answer == COPY_FULL)
        b->full = true;
    else if (answer == COPY_NO_FOLDER)
        skip_mailbox(b, words);
    else
        tell_failed(b, answer, words);
    return ERR_OK;
}

static enum err send_bytes(struct bringing *b, struct blob *blob)
{
    struct msg_source source = blob_source(blob);
    struct buf piece;
    enum err e = ERR_OK;
    buf_init(&piece, 0);
    for (uint64_t at = 0; e == ERR_OK && at < source.size; at += buf_len(&piece)) {
        buf_clear(&piece);
        e = msg_source_read(&source, at, SEND_PIECE_BYTES, &piece);
        b->disk |= e != ERR_OK;
        if (e == ERR_OK)
            e = copy_put_piece(&b->target, buf_slice(&piece));
    }
    buf_done(&piece);
    return e == ERR_OK ? copy_put_end(&b->target) : e;
}

/* The answer frees sent. */
static enum err send(struct bringing *b, struct sent *sent)
{
    bool go = false;
    struct blob *blob = blob_ref(sent->blob);
    enum err e = copy_put_begin(&b->target, &sent->item, blob_size(blob), &go);
    if (e == ERR_OK && go)
        e = send_bytes(b, blob);
    blob_unref(blob);
    return e;
}

/* Those that were refused with their keywords go without. */
static enum err send_again(struct bringing *b)
{
    while (b->again && !b->full && !b->skipped) {
        struct sent *sent = b->all;
        while (!sent->again)
            sent = sent->next;
        sent->again = false;
        b->again--;
        TRY(send(b, sent));
    }
    return ERR_OK;
}

static char *flags_of(const struct store_flags *flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = { { STORE_SEEN, "\\Seen" }, { STORE_ANSWERED, "\\Answered" },
        { STORE_FLAGGED, "\\Flagged" }, { STORE_DELETED, "\\Deleted" },
        { STORE_DRAFT, "\\Draft" } };
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (flags->system & names[i].flag)
            buf_addf(&text, "%s%s", buf_len(&text) ? " " : "", names[i].name);
    for (size_t i = 0; i < flags->keyword_count; i++)
        if (imapc_flag_ok(flags->keywords[i]) && flags->keywords[i].ptr[0] != '\\')
            buf_addf(&text, "%s%.*s", buf_len(&text) ? " " : "", SLICE_FMT(flags->keywords[i]));
    char *copy = mem_strndup(buf_slice(&text).ptr, buf_len(&text));
    buf_done(&text);
    return copy;
}

/* ---- what is read ---- */

static enum err part_store(void *bringing_arg, struct store **out_store)
{
    struct bringing *b = bringing_arg;
    *out_store = b->store;
    return ERR_OK;
}

static uint64_t message_id_of(struct bringing *b, struct blob *blob)
{
    struct msg_source source = blob_source(blob);
    struct buf head;
    uint64_t id = 0;
    buf_init(&head, 0);
    size_t len = source.size < HEADER_BYTES_MAX ? (size_t)source.size : HEADER_BYTES_MAX;
    if (msg_source_read(&source, 0, len, &head) == ERR_OK)
        id = copy_message_id(
            b->key, slice_sub(buf_slice(&head), 0, msg_header_len(buf_slice(&head))));
    buf_done(&head);
    return id;
}

/* The folder is left: what was refused there goes nowhere else. */
static void forget_again(struct bringing *b)
{
    for (struct sent *sent = b->all, *next; sent; sent = next) {
        next = sent->next;
        if (sent->again)
            sent_free(b, sent);
    }
    b->again = 0;
}

static enum err end_mailbox(struct bringing *b)
{
    if (!b->mailbox)
        return ERR_OK;
    do { /* what is refused with its keywords is told of by an answer */
        TRY(send_again(b));
        TRY(copy_put_drain(&b->target));
    } while (b->again && !b->full && !b->skipped);
    if (b->skipped) {
        forget_again(b);
        tell_mailbox(b);
        return ERR_OK;
    }
    TRY(copy_target_finish(&b->target, !b->full));
    if (!b->full)
        TRY(copy_target_subscribe(&b->target));
    b->counts->folders++;
    b->counts->made += b->target.fresh;
    tell_mailbox(b);
    return ERR_OK;
}

static enum err open_as(struct bringing *b, struct slice name, bool there)
{
    free(b->to_name);
    b->to_name = mem_strndup(name.ptr, name.len);
    return copy_target_open(&b->target, b->mailbox, 0, name, there);
}

/* Where it goes: by use, or by its name. */
static enum err open_mailbox(struct bringing *b)
{
    struct imapc_folder folder = { .far_name = b->mailbox, .name = b->mailbox, .delimiter = '/' };
    char none[] = "";
    struct imapc_folders from = { .all = &folder, .count = 1, .prefix = none, .delimiter = '/' };
    struct buf name;
    bool there = false;
    enum err e = ERR_SYNTAX;
    buf_init(&name, 0);
    free(b->to_name);
    b->to_name = mem_strdup("");
    if (copy_find_name(&from, &folder, &b->session.folders, &name, &there) == COPY_GOES)
        e = open_as(b, buf_slice(&name), there);
    if (e == ERR_OK)
        e = copy_target_list(&b->target, b->key, &b->there);
    buf_done(&name);
    if (b->there.count)
        qsort(b->there.at, b->there.count, sizeof *b->there.at, by_what);
    return e;
}

static void forget_there(struct bringing *b)
{
    copy_list_done(&b->there);
    free(b->known);
    b->known = NULL;
}

static enum err on_mailbox(void *bringing_arg, struct slice name)
{
    struct bringing *b = bringing_arg;
    TRY(end_mailbox(b));
    free(b->mailbox);
    forget_there(b);
    b->mailbox = mem_strndup(name.ptr, name.len);
    b->before = *b->counts;
    b->skipped = false;
    enum err e = open_mailbox(b);
    if (e == ERR_OK || imapc_is_broken(b->session.imap) || b->target.broken_here)
        return e;
    const char *words = imapc_words(b->session.imap);
    skip_mailbox(b, slice_of(words[0] ? words : err_words(e)));
    return ERR_OK;
}

static struct sent *sent_new(struct bringing *b, const struct import_item *item)
{
    struct sent *sent = mem_zalloc(1, sizeof *sent);
    sent->next = b->all;
    if (b->all)
        b->all->before = sent;
    b->all = sent;
    sent->blob = blob_ref(item->blob);
    sent->flags = flags_of(&item->flags);
    sent->item = (struct copy_item){
        .flags = slice_of(sent->flags), .received_s = item->received_s, .owner = sent
    };
    memcpy(sent->item.id, item->guid, sizeof sent->item.id);
    return sent;
}

static enum err find_row(
    struct bringing *b, const struct import_item *item, bool *out_has, uint32_t *out_uid)
{
    struct slice id = slice_from(item->guid, sizeof item->guid);
    enum err e = journal_find_id(b->target.journal, b->target.row.id, id, out_has, out_uid);
    b->target.broken_here |= e != ERR_OK;
    return e;
}

/* It is there: the message of the target is nobody else's copy, and has a row. */
static enum err keep(struct bringing *b, const struct import_item *item, struct copy_message *there)
{
    struct copy_item row = { .uid = 0 };
    memcpy(row.id, item->guid, sizeof row.id);
    there->mate = 1;
    return copy_target_record(&b->target, &row, there->uid);
}

static enum err send_new(struct bringing *b, const struct import_item *item)
{
    if (blob_size(item->blob) > imapc_append_limit(b->session.imap)) {
        tell_failed(b, COPY_TOO_BIG, SLICE_EMPTY);
        return ERR_OK;
    }
    TRY(send(b, sent_new(b, item)));
    TRY(send_again(b));
    return b->full ? ERR_CANCELED : ERR_OK;
}

static enum err on_message(void *bringing_arg, const struct import_item *item)
{
    struct bringing *b = bringing_arg;
    struct copy_message *there = NULL;
    bool has = false;
    uint32_t uid = 0;
    if (b->skipped)
        return ERR_OK;
    TRY(find_row(b, item, &has, &uid));
    /* also one that has a row, when the server did not say what it became: else its copy would be taken for that of another */
    if (b->there.count && uid == 0)
        TRY(find_there(b, item, message_id_of(b, item->blob), &there));
    if (!there && !has)
        return send_new(b, item);
    b->counts->known += has;
    b->counts->found += !has;
    tell(b, COPY_PROGRESS, "");
    return there ? keep(b, item, there) : ERR_OK;
}

static void on_trouble(void *bringing_arg, const char *path, enum import_trouble what)
{
    struct bringing *b = bringing_arg;
    copy_show_clear(&b->show);
    b->args->trouble(b->args->trouble_arg, path, what);
}

/* ---- what will be read ---- */

static enum err pass_mailbox(void *bringing_arg, struct slice name)
{
    (void)bringing_arg, (void)name;
    return ERR_OK;
}

static enum err count_message(void *bringing_arg, const struct import_item *item)
{
    (void)item;
    ((struct bringing *)bringing_arg)->messages++;
    return ERR_OK;
}

static void pass_trouble(void *bringing_arg, const char *path, enum import_trouble what)
{
    (void)bringing_arg, (void)path, (void)what; /* it is told when the messages go */
}

/* False: there is nothing to read, and result->read says why. */
static bool count_messages(struct bringing *b)
{
    const struct import_sink sink = {
        .sink_arg = b, .mailbox = pass_mailbox, .message = count_message, .trouble = pass_trouble
    };
    (void)!import_run(b->args->options, &sink, &b->result->read); /* another error comes again */
    return !b->result->read.problem;
}

/* ---- the run ---- */

static void failure_of(struct bringing *b, enum err e, struct client_failure *failure)
{
    if (b->target.broken_here || b->disk || !imapc_is_broken(b->session.imap)) {
        (void)err_noted(&failure->note, e, "%s", err_words(e));
        (void)client_failed(failure, CLIENT_WHY_DISK, e);
    } else {
        (void)imapc_failed(b->session.imap, failure);
    }
}

/* failure: none where why is CLIENT_WHY_NONE. */
static int say_end(struct bringing *b, const struct client_failure *failure)
{
    struct client_use *use = &b->session.use;
    bool failed = failure->why != CLIENT_WHY_NONE;
    b->counts->full = b->full;
    copy_show_clear(&b->show);
    if (b->args->json && !b->result->read.problem)
        copy_show_sum(&b->show, b->counts, false, failed ? failure : NULL);
    if (b->full)
        cli_error(MSG_COPY_FULL, use->account->name);
    if (b->full || !failed)
        return b->full ? EX_CANTCREAT : EX_OK;
    int code = client_say_failure(use, &use->account->imap, failure);
    cli_error_more(MSG_BRING_AGAIN);
    return code;
}

static int read_all(struct bringing *b)
{
    const struct import_sink sink = { .sink_arg = b,
        .store = part_store,
        .mailbox = on_mailbox,
        .message = on_message,
        .trouble = on_trouble };
    enum err e = import_run(b->args->options, &sink, &b->result->read);
    if (e == ERR_OK)
        e = end_mailbox(b);
    if (e != ERR_OK && !b->target.broken_here)
        copy_put_abandon(&b->target);
    if (e != ERR_OK) /* what came over is known */
        (void)!journal_commit(b->target.journal);
    struct client_failure failure = { .why = CLIENT_WHY_NONE };
    if (e != ERR_OK && !b->full && !b->result->read.problem) /* that is told by whoever called */
        failure_of(b, e, &failure);
    return say_end(b, &failure);
}

/* A store of its own for what is on its way; what another run left in it goes. */
static int open_work(struct bringing *b)
{
    struct err_note note = { "" };
    if (asprintf(&b->work, "%s/" WORK_FOLDER, b->session.use.state_folder) < 0)
        abort();
    struct store_options options = { .root = b->work };
    if (store_open(&options, &b->store, &note) == ERR_OK)
        return EX_OK;
    cli_error_text(note.text);
    return EX_CANTCREAT;
}

static void close_work(struct bringing *b)
{
    if (!b->store)
        return;
    store_close(b->store);
    autoclose int state = open(b->session.use.state_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state >= 0)
        (void)!dir_remove(state, WORK_FOLDER);
}

static int open_target(struct bringing *b)
{
    struct client_use *use = &b->session.use;
    struct client_failure failure;
    char path[PATH_MAX];
    const char *real = realpath(b->args->options->path, path);
    if (asprintf(&b->from_id, "files %s", real ? real : b->args->options->path) < 0)
        abort();
    b->to_id = copy_mailbox_id(use->account);
    rand_bytes(b->key, sizeof b->key);
    copy_target_init(&b->target);
    b->target.imap = b->session.imap;
    b->target.from_id = b->from_id;
    b->target.to_id = b->to_id;
    b->target.settle_ms = b->args->settle_ms;
    b->target.arg = b;
    b->target.answered = answered;
    b->target.keywords_lost = keywords_lost;
    if (copy_open_journal(use->state_folder, &b->target.journal, &failure) != ERR_OK)
        return client_say_failure(use, &use->account->imap, &failure);
    return open_work(b);
}

static int bring(struct bringing *b)
{
    int code = mail_folders(&b->session, false);
    if (!code)
        code = open_target(b);
    b->show = (struct copy_show){ .live = b->args->live,
        .json = b->args->json,
        .from = b->args->options->path,
        .to = b->session.use.account->name,
        .to_go = b->messages };
    copy_show_begin(&b->show, NULL, 0);
    if (!code) {
        enum err e = imapc_expect(b->session.imap, b->messages * IMAPC_MESSAGE_BYTES);
        code = e == ERR_OK ? read_all(b) : mail_failed(&b->session, e);
    }
    while (b->all) /* those that have no answer any more */
        sent_free(b, b->all);
    forget_there(b);
    copy_target_done(&b->target);
    journal_close(b->target.journal);
    close_work(b);
    free(b->mailbox);
    free(b->to_name);
    free(b->from_id);
    free(b->to_id);
    free(b->work);
    return code;
}

int import_into_account(const struct import_account *args, struct import_account_result *out_result)
{
    struct bringing *b = mem_zalloc(1, sizeof *b);
    *out_result = (struct import_account_result){ .counts = { .copied = 0 } };
    b->args = args;
    b->result = out_result;
    b->counts = &out_result->counts;
    int code = EX_OK;
    if (count_messages(b)) {
        code = mail_begin_account(&b->session, args->account);
        if (!code)
            code = bring(b);
        mail_end(&b->session);
    }
    free(b);
    return code;
}

bool import_account_exists(const char *account)
{
    struct client_accounts accounts = { .count = 0 };
    struct err_note note;
    autofree char *path = client_accounts_path();
    if (!path || client_accounts_read(path, &accounts, &note) != ERR_OK)
        return false;
    bool exists = client_accounts_find(&accounts, account) != NULL;
    client_accounts_done(&accounts);
    return exists;
}
