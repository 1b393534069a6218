/* A run over the folders of two mailboxes. */
#include "copy/copy_int.h"

#include "base/rand.h"
#include "copy/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- telling ---- */

void copy_tell(struct copy_run *run, const struct copy_event *event)
{
    struct copy_event whole = *event;
    whole.folder = run->folder ? run->folder->name : "";
    whole.to = run->to_name ? run->to_name : "";
    if (!whole.text)
        whole.text = "";
    run->options->tell(run->options->arg, &whole);
}

void copy_tell_failed(struct copy_run *run, enum copy_event_kind kind, enum copy_side side,
    uint32_t uid, struct slice words)
{
    char *text = mem_strndup(words.ptr, words.len);
    run->counts->failed++;
    run->here.failed++;
    copy_tell(run, &(struct copy_event){ .kind = kind, .side = side, .uid = uid, .text = text });
    free(text);
}

static void stop_folder(
    struct copy_run *run, enum copy_event_kind kind, enum copy_side side, struct slice words)
{
    char *text = mem_strndup(words.ptr, words.len);
    if (!run->stopped) {
        run->counts->stopped++;
        run->here.stopped++;
        copy_tell(run, &(struct copy_event){ .kind = kind, .side = side, .text = text });
    }
    run->stopped = true;
    free(text);
}

void copy_stop_folder(struct copy_run *run, enum copy_side side, struct slice words)
{
    stop_folder(run, COPY_FOLDER_STOPPED, side, words);
}

static void keywords_lost(void *arg)
{
    struct copy_run *run = arg;
    if (!run->keywords_told)
        copy_tell(run, &(struct copy_event){ .kind = COPY_KEYWORDS_LOST });
    run->keywords_told = true;
}

/* ---- flags ---- */

/* "\\Seen $x": what can stand in a command. \Recent is the session's (RFC 3501 §2.3.2). */
static void write_flags(const struct imap_value *list, struct buf *out)
{
    const struct imap_value *value = list && list->kind == IMAP_VALUE_LIST ? list->first : NULL;
    for (; value; value = value->next)
        if (value->kind == IMAP_VALUE_ATOM && imapc_flag_ok(value->text) &&
            !slice_eq_nocase(value->text, SLICE("\\Recent")))
            buf_addf(out, "%s%.*s", buf_len(out) ? " " : "", SLICE_FMT(value->text));
}

static enum err add_set(struct copy_run *run, struct slice text, uint32_t *out_number)
{
    uintptr_t known = (uintptr_t)map_get(&run->flag_index, text);
    if (known) {
        *out_number = (uint32_t)(known - 1);
        return ERR_OK;
    }
    run->flag_bytes += text.len + 2 * sizeof(void *);
    if (run->flag_bytes > COPY_FLAG_SETS_BYTES)
        return ERR_LIMIT;
    if (run->flag_count == run->flag_cap) {
        run->flag_cap = run->flag_cap ? 2 * run->flag_cap : 16;
        run->flag_sets = mem_realloc(run->flag_sets, run->flag_cap * sizeof *run->flag_sets);
    }
    *out_number = (uint32_t)run->flag_count;
    run->flag_sets[run->flag_count++] = mem_strndup(text.ptr, text.len);
    (void)map_put(&run->flag_index, text, (void *)(uintptr_t)run->flag_count);
    return ERR_OK;
}

enum err copy_add_flags(struct copy_run *run, const struct imap_value *list, uint32_t *out_number)
{
    struct buf text;
    buf_init(&text, 0);
    write_flags(list, &text);
    enum err e = add_set(run, buf_slice(&text), out_number);
    buf_done(&text);
    return e;
}

static void forget_folder(struct copy_run *run)
{
    for (size_t i = 0; i < run->flag_count; i++)
        free(run->flag_sets[i]);
    run->flag_count = run->flag_bytes = 0;
    map_done(&run->flag_index);
    map_init(&run->flag_index);
    copy_list_done(&run->news);
    imapc_box_done(&run->box);
    run->box = (struct imapc_box){ 0 };
    run->here = (struct copy_counts){ 0 };
    run->unlisted = 0;
    run->stopped = false;
}

/* ---- what is new ---- */

static enum err news_one(void *arg, const struct imapc_message *m)
{
    struct copy_run *run = arg;
    struct copy_message message = { .uid = m->uid,
        .bytes = m->bytes,
        .received_s = m->received_s,
        .zone_min = (int16_t)m->zone_min,
        .message_id = copy_message_id(run->key, m->header),
        .recorded = uidset_has(&run->target.nameless, m->uid) };
    if (run->news.count > (size_t)run->box.exists + 1000)
        return ERR_LIMIT;
    TRY(copy_add_flags(run, m->flags, &message.flags));
    (void)copy_list_add(&run->news, &message);
    return ERR_OK;
}

/* Those without a row; after a torn run also those of which nobody knows which they are there: a message of the target that is one of them is no copy of another. */
static void choose_uids(struct copy_run *run, struct uidset *uids)
{
    struct copy_target *target = &run->target;
    uint32_t last = run->box.uidnext ? run->box.uidnext - 1 : UINT32_MAX;
    if (run->box.exists == 0)
        return;
    if (!target->row.busy_s)
        uidset_clear(&target->nameless);
    uidset_subtract(&target->done, &target->nameless);
    uidset_add_run(uids, 1, last);
    uidset_subtract(uids, &target->done);
}

static int by_uid(const void *a, const void *b)
{
    const struct copy_message *x = a, *y = b;
    return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static enum err list_set(struct copy_run *run, const struct uidset *uids)
{
    struct buf set;
    enum err e = ERR_OK;
    buf_init(&set, 0);
    for (size_t at = 0; e == ERR_OK && at < uids->count;) {
        buf_clear(&set);
        imapc_add_set(&set, uids, &at);
        e = imapc_each(run->options->from.imap, buf_slice(&set), false, "MESSAGE-ID",
            run->box.exists, news_one, run);
    }
    buf_done(&set);
    return e;
}

/* A server may answer with a message that was not asked for, or twice. */
static void tidy_news(struct copy_run *run, const struct uidset *uids)
{
    struct copy_list *news = &run->news;
    size_t kept = 0;
    if (news->count)
        qsort(news->at, news->count, sizeof *news->at, by_uid);
    for (size_t i = 0; i < news->count; i++)
        if (uidset_has(uids, news->at[i].uid) &&
            (kept == 0 || news->at[kept - 1].uid != news->at[i].uid))
            news->at[kept++] = news->at[i];
    news->count = kept;
}

enum err copy_list_news(struct copy_run *run)
{
    struct uidset uids;
    uidset_init(&uids);
    choose_uids(run, &uids);
    enum err e = list_set(run, &uids);
    tidy_news(run, &uids);
    uidset_done(&uids);
    uint64_t had = run->news.count + uidset_members(&run->target.done);
    run->unlisted = had < run->box.exists ? run->box.exists - had : 0;
    return e;
}

/* Who lists less than there is would have it forgotten. */
static void tell_unlisted(struct copy_run *run)
{
    if (!run->unlisted || run->stopped || run->counts->full)
        return;
    run->counts->stopped++;
    run->here.stopped++;
    copy_tell(run, &(struct copy_event){ .kind = COPY_FOLDER_SHORT, .total = run->unlisted });
}

/* ---- what is there ---- */

static enum err hash(void *arg, bool of_source, const struct copy_message *message,
    unsigned char out_hash[COPY_HASH_BYTES])
{
    struct copy_run *run = arg;
    run->side = of_source ? COPY_SIDE_FROM : COPY_SIDE_TO;
    return copy_hash_message(
        of_source ? run->options->from.imap : run->options->to.imap, message->uid, out_hash);
}

/* Rows for what was found. */
static enum err record_mates(struct copy_run *run)
{
    run->side = COPY_SIDE_HERE;
    for (size_t i = 0; i < run->news.count; i++) {
        const struct copy_message *m = &run->news.at[i];
        if (!m->mate)
            continue;
        run->here.found += !m->recorded;
        run->counts->found += !m->recorded;
        TRY(copy_target_record(&run->target, &(struct copy_item){ .uid = m->uid }, m->mate));
    }
    return ERR_OK;
}

static enum err match(struct copy_run *run)
{
    struct copy_list there = { .at = NULL };
    if (run->news.count == 0)
        return ERR_OK;
    run->side = COPY_SIDE_TO;
    enum err e = copy_target_list(&run->target, run->key, &there);
    if (e == ERR_OK)
        e = copy_match(&run->news, &there, hash, run);
    copy_list_done(&there);
    return e == ERR_OK ? record_mates(run) : e;
}

/* ---- a folder ---- */

/* Counts what will go. */
static uint64_t count_to_go(struct copy_run *run, uint64_t *out_bytes)
{
    uint64_t count = 0, news = 0;
    *out_bytes = 0;
    for (size_t i = 0; i < run->news.count; i++) {
        const struct copy_message *m = &run->news.at[i];
        news += !m->recorded;
        if (m->mate || m->recorded)
            continue;
        count++;
        *out_bytes += m->bytes;
    }
    news += run->unlisted;
    run->here.known = run->box.exists > news ? run->box.exists - news : 0;
    run->counts->known += run->here.known;
    return count;
}

static enum err expect(struct copy_run *run, uint64_t bytes)
{
    run->side = COPY_SIDE_FROM;
    TRY(imapc_expect(run->options->from.imap, bytes));
    run->side = COPY_SIDE_TO;
    TRY(imapc_expect(run->options->to.imap, bytes));
    run->side = COPY_SIDE_FROM;
    return ERR_OK;
}

static enum err send_news(struct copy_run *run)
{
    uint64_t bytes, count = count_to_go(run, &bytes);
    copy_tell(run, &(struct copy_event){ .kind = COPY_FOLDER_BEGINS, .total = count });
    if (run->options->dry_run) {
        run->here.copied = count;
        run->here.bytes = bytes;
        run->counts->copied += count;
        run->counts->bytes += bytes;
        return ERR_OK;
    }
    enum err e = count ? expect(run, bytes) : ERR_OK;
    if (e == ERR_OK && count)
        e = copy_send_all(run);
    enum copy_side side = run->side;
    /* also of a torn one: what has come over is known */
    bool whole = e == ERR_OK && !run->stopped && !run->counts->full;
    enum err finished = run->target.broken_here ? ERR_OK : copy_target_finish(&run->target, whole);
    if (e != ERR_OK)
        run->side = side;
    else if (finished != ERR_OK)
        run->side = COPY_SIDE_TO;
    return e != ERR_OK ? e : finished;
}

static enum err open_both(struct copy_run *run, struct slice to_name, bool there)
{
    run->side = COPY_SIDE_FROM;
    TRY(imapc_select(run->options->from.imap, run->folder->far_name, true, &run->box));
    if (run->box.uidvalidity == 0) { /* its messages cannot be told apart */
        stop_folder(run, COPY_FOLDER_NO_UIDVALIDITY, COPY_SIDE_FROM, SLICE_EMPTY);
        return ERR_NOT_FOUND;
    }
    run->side = COPY_SIDE_TO;
    TRY(copy_target_open(
        &run->target, run->folder->far_name, run->box.uidvalidity, to_name, there));
    run->here.made = run->target.fresh;
    run->counts->made += run->target.fresh;
    return ERR_OK;
}

static enum err folder_steps(struct copy_run *run, struct slice to_name, bool there)
{
    TRY(open_both(run, to_name, there));
    run->side = COPY_SIDE_FROM;
    TRY(copy_list_news(run));
    TRY(match(run));
    TRY(send_news(run));
    tell_unlisted(run);
    run->side = COPY_SIDE_TO;
    return run->folder->subscribed ? copy_target_subscribe(&run->target) : ERR_OK;
}

static bool is_fatal(const struct copy_run *run)
{
    return run->target.broken_here || imapc_is_broken(run->options->from.imap) ||
           imapc_is_broken(run->options->to.imap);
}

static enum err copy_folder(struct copy_run *run, struct slice to_name, bool there)
{
    char *name = mem_strndup(to_name.ptr, to_name.len);
    run->to_name = name;
    enum err e = folder_steps(run, to_name, there);
    if (run->target.broken_here)
        run->side = COPY_SIDE_HERE;
    if (e != ERR_OK && !is_fatal(run)) {
        const struct imapc *imap =
            run->side == COPY_SIDE_FROM ? run->options->from.imap : run->options->to.imap;
        const char *words = imapc_words(imap);
        copy_stop_folder(run, run->side, slice_of(words[0] ? words : err_words(e)));
        e = ERR_OK;
    }
    run->counts->folders++;
    copy_tell(run, &(struct copy_event){ .kind = COPY_FOLDER_DONE, .counts = &run->here });
    forget_folder(run);
    run->to_name = NULL;
    free(name);
    return run->counts->full ? ERR_OK : e;
}

static enum err one_folder(struct copy_run *run, const struct imapc_folder *folder, bool chosen)
{
    const struct copy_options *options = run->options;
    struct imapc_folder plain = *folder;
    bool there;
    struct buf name;
    enum err e = ERR_OK;
    if (folder->noselect)
        return ERR_OK;
    if (chosen && (folder->use == IMAPC_USE_ALL || folder->use == IMAPC_USE_FLAGGED))
        plain.use = IMAPC_USE_NONE; /* who asks for it gets it */
    run->folder = folder;
    buf_init(&name, 0);
    switch (copy_find_name(options->from.folders, plain.use == folder->use ? folder : &plain,
        options->to.folders, &name, &there)) {
    case COPY_GOES:
        e = copy_folder(run, buf_slice(&name), there);
        break;
    case COPY_VIEW:
        run->counts->skipped++;
        copy_tell(run, &(struct copy_event){ .kind = COPY_FOLDER_SKIPPED });
        break;
    case COPY_NO_NAME:
    default:
        run->counts->stopped++;
        copy_tell(run, &(struct copy_event){ .kind = COPY_FOLDER_NAMELESS });
        break;
    }
    buf_done(&name);
    run->folder = NULL;
    return e;
}

static enum err all_folders(struct copy_run *run)
{
    const struct copy_options *options = run->options;
    size_t count = options->chosen ? options->chosen_count : options->from.folders->count;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < count && !run->counts->full; i++)
        e = one_folder(run, options->chosen ? options->chosen[i] : &options->from.folders->all[i],
            options->chosen != NULL);
    return e;
}

/* ---- the run ---- */

char *copy_mailbox_id(const struct client_account *account)
{
    char *id = NULL;
    if (asprintf(&id, "imap %s %s", account->user, account->imap.host) < 0)
        abort();
    return id;
}

enum err copy_open_journal(
    const char *state_folder, struct journal **out_journal, struct client_failure *failure)
{
    char *path = NULL;
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    if (asprintf(&path, "%s/copy.db", state_folder) < 0)
        abort();
    enum err e = journal_open(path, out_journal, &failure->note);
    free(path);
    if (e == ERR_OK)
        return ERR_OK;
    return client_failed(failure,
        e == ERR_BUSY                         ? CLIENT_WHY_RUNNING
        : e == ERR_CORRUPT || e == ERR_DENIED ? CLIENT_WHY_STATE
                                              : CLIENT_WHY_DISK,
        e);
}

static enum err failed(struct copy_run *run, enum err e, struct client_failure *failure)
{
    const struct copy_options *options = run->options;
    if (run->side == COPY_SIDE_HERE) {
        (void)err_noted(&failure->note, e, "%s", err_words(e));
        return client_failed(failure, e == ERR_CORRUPT ? CLIENT_WHY_STATE : CLIENT_WHY_DISK, e);
    }
    /* what broke first is the one whose fault it is; the other was left in the middle */
    if (run->side == COPY_SIDE_FROM && !imapc_is_broken(options->from.imap))
        run->side = COPY_SIDE_TO;
    return imapc_failed(
        run->side == COPY_SIDE_FROM ? options->from.imap : options->to.imap, failure);
}

enum err copy_run(const struct copy_options *options, struct copy_counts *out_counts,
    enum copy_side *out_side, struct client_failure *failure)
{
    struct copy_run *run = mem_zalloc(1, sizeof *run);
    char *from_id = copy_mailbox_id(options->from.account);
    char *to_id = copy_mailbox_id(options->to.account);
    *out_counts = (struct copy_counts){ 0 };
    run->options = options;
    run->counts = out_counts;
    run->side = COPY_SIDE_HERE;
    rand_bytes(run->key, sizeof run->key);
    map_init(&run->flag_index);
    copy_target_init(&run->target);
    run->target.imap = options->to.imap;
    run->target.from_id = from_id;
    run->target.to_id = to_id;
    run->target.dry_run = options->dry_run;
    run->target.settle_ms = options->settle_ms;
    run->target.arg = run;
    run->target.answered = copy_answered;
    run->target.keywords_lost = keywords_lost;
    enum err e = copy_open_journal(options->state_folder, &run->target.journal, failure);
    if (e == ERR_OK) {
        e = all_folders(run);
        if (e != ERR_OK)
            e = failed(run, e, failure);
    }
    *out_side = run->side;
    forget_folder(run);
    map_done(&run->flag_index);
    free(run->flag_sets);
    copy_target_done(&run->target);
    journal_close(run->target.journal);
    free(from_id);
    free(to_id);
    free(run);
    return e;
}
