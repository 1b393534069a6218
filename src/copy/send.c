/* Messages through: from the answers of one server into the commands of another.
 *
 * Always true: one message is open at a time on both sides; its end is sent in the same step in which the source names its UID behind its last byte. */
#include "copy/copy_int.h"

#include <string.h>

/* Whose fault it was is found out where it happens: here the source is being read. */
static enum err of_target(struct copy_run *run, enum err e)
{
    if (e != ERR_OK)
        run->side = run->target.broken_here ? COPY_SIDE_HERE : COPY_SIDE_TO;
    return e;
}

/* The number behind "UID" in what stands before the bytes; 0: it comes behind them. */
static uint32_t uid_of(struct slice head)
{
    struct slice word, number;
    uint64_t uid = 0;
    while (slice_cut(&head, ' ', &word)) {
        if (!slice_eq_nocase(word, SLICE("UID")) && !slice_eq_nocase(word, SLICE("(UID")))
            continue;
        if (!slice_cut(&head, ' ', &number) || slice_to_u64(number, UINT32_MAX, &uid) != ERR_OK)
            return 0;
        return (uint32_t)uid;
    }
    return 0;
}

/* The one of that UID, or, without one, the only one. *out_turn: all that was asked for before it has come. */
static struct copy_fetch *find_fetch(struct copy_run *run, uint32_t uid, bool *out_turn)
{
    struct copy_fetch *found = NULL, *first = NULL;
    for (size_t i = 0; i < COPY_AHEAD_MAX; i++) {
        struct copy_fetch *fetch = &run->fetches[i];
        if (!fetch->message || fetch->begun)
            continue;
        if (uid == 0 || fetch->message->uid == uid)
            found = fetch;
        if (!first || fetch->message->uid < first->message->uid)
            first = fetch;
    }
    *out_turn = found == first;
    return found;
}

static enum err begin(struct copy_run *run, uint32_t uid, uint64_t bytes)
{
    bool in_turn = false;
    struct copy_fetch *fetch = NULL;
    if (!run->open && (uid || run->asked == 1))
        fetch = find_fetch(run, uid, &in_turn);
    if (!fetch)
        return ERR_SYNTAX; /* nobody asked for it, or it came before */
    struct copy_message *m = fetch->message;
    run->open = fetch;
    run->uid_first = uid != 0;
    fetch->begun = true;
    if (run->counts->full)
        return ERR_CANCELED; /* the rest need not come */
    if (run->stopped)
        return ERR_OK;
    if (!in_turn) { /* one before it is gone; or it is not what it is said to be: asked for alone, it is known */
        m->again = run->one_by_one = true;
        return ERR_OK;
    }
    if (bytes > imapc_append_limit(run->target.imap)) {
        copy_tell_failed(run, COPY_MESSAGE_TOO_BIG, COPY_SIDE_TO, m->uid, SLICE_EMPTY);
        return ERR_OK;
    }
    struct copy_item item = { .flags = slice_of(run->flag_sets[m->flags]),
        .received_s = m->received_s,
        .zone_min = m->zone_min,
        .plain = m->plain,
        .owner = m,
        .uid = m->uid };
    m->bytes = bytes; /* what it is, whatever was said of it before */
    return of_target(run, copy_put_begin(&run->target, &item, bytes, &fetch->going));
}

static enum err body_begin(struct imapc_task *task, uint64_t bytes)
{
    struct copy_run *run = ((struct copy_fetch *)task->owner)->run;
    return begin(run, uid_of(imapc_head(run->options->from.imap)), bytes);
}

static enum err piece(struct copy_run *run, struct slice bytes)
{
    return run->open->going ? of_target(run, copy_put_piece(&run->target, bytes)) : ERR_OK;
}

static enum err body(struct imapc_task *task, struct slice bytes)
{
    return piece(((struct copy_fetch *)task->owner)->run, bytes);
}

/* A message as a quoted string: servers do so for empty ones. */
static enum err small_body(struct copy_run *run, uint32_t uid, const struct imap_value *value)
{
    if (run->open || value->kind != IMAP_VALUE_STRING)
        return ERR_OK;
    TRY(begin(run, uid, value->text.len));
    return piece(run, value->text);
}

static enum err data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct copy_run *run = ((struct copy_fetch *)task->owner)->run;
    uint32_t uid = 0;
    if (++run->answers > run->answers_max)
        return ERR_LIMIT;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")))
        return run->open ? ERR_SYNTAX : ERR_OK;
    const struct imap_value *value = imap_value_item(reply->values, SLICE("BODY[]"));
    if (!value)
        return run->open ? ERR_SYNTAX : ERR_OK; /* a change of flags that somebody made */
    if (imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &uid) != ERR_OK || !uid)
        return ERR_SYNTAX;
    TRY(small_body(run, uid, value));
    struct copy_fetch *fetch = run->open;
    if (!fetch)
        return ERR_OK; /* NIL: there is nothing of it */
    if (uid != fetch->message->uid ||
        (value->kind != IMAP_VALUE_STRING && !imap_value_is_nil(value)))
        return ERR_SYNTAX;
    run->open = NULL;
    fetch->ended = true;
    return fetch->going ? of_target(run, copy_put_end(&run->target)) : ERR_OK;
}

static void fill(struct copy_run *run);

static enum err done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct copy_fetch *fetch = task->owner;
    struct copy_run *run = fetch->run;
    if (run->open)
        return ERR_SYNTAX;
    if (reply->status != IMAP_STATUS_OK && !fetch->going)
        copy_tell_failed(
            run, COPY_MESSAGE_FAILED, COPY_SIDE_FROM, fetch->message->uid, reply->text);
    fetch->message->missing = reply->status == IMAP_STATUS_OK && !fetch->begun;
    fetch->message = NULL;
    run->asked--;
    fill(run);
    return ERR_OK;
}

static bool is_to_go(const struct copy_message *m)
{
    return !m->mate && !m->recorded;
}

static void ask(struct copy_run *run, struct copy_message *message)
{
    struct copy_fetch *fetch = run->fetches;
    while (fetch->message)
        fetch++; /* there is one: fewer than COPY_AHEAD_MAX are asked for */
    *fetch = (struct copy_fetch){ .run = run, .message = message };
    fetch->task = (struct imapc_task){
        .data = data, .body_begin = body_begin, .body = body, .done = done, .owner = fetch
    };
    run->asked++;
    imapc_queuef(run->options->from.imap, &fetch->task, "UID FETCH %u (UID BODY.PEEK[])",
        (unsigned)message->uid);
}

/* Keeps as many commands on their way as may be: one, until it is known that the source says the UID first. */
static void fill(struct copy_run *run)
{
    size_t most = run->uid_first && !run->one_by_one ? COPY_AHEAD_MAX : 1;
    while (
        run->asked < most && run->next < run->news.count && !run->stopped && !run->counts->full) {
        struct copy_message *m = &run->news.at[run->next++];
        if (!is_to_go(m))
            continue;
        if (m->bytes > imapc_append_limit(run->target.imap))
            copy_tell_failed(run, COPY_MESSAGE_TOO_BIG, COPY_SIDE_TO, m->uid, SLICE_EMPTY);
        else
            ask(run, m);
    }
}

static enum err send_once(struct copy_run *run)
{
    run->next = run->asked = 0;
    run->open = NULL;
    for (size_t i = 0; i < COPY_AHEAD_MAX; i++)
        run->fetches[i].message = NULL;
    fill(run);
    run->side = COPY_SIDE_FROM;
    enum err e = imapc_run(run->options->from.imap, NULL);
    if (e == ERR_OK)
        return of_target(run, copy_put_drain(&run->target));
    /* what the target said OK to is recorded, whoever failed */
    if (run->side != COPY_SIDE_HERE)
        copy_put_abandon(&run->target);
    return e;
}

/* Still there, and did not come all the same. */
static enum err tell_missing(void *arg, const struct imapc_message *message)
{
    copy_tell_failed(
        arg, COPY_MESSAGE_FAILED, COPY_SIDE_FROM, message->uid, slice_of(err_words(ERR_NOT_FOUND)));
    return ERR_OK;
}

/* What did not come was expunged meanwhile, or the server does not give it. */
static enum err check_missing(struct copy_run *run)
{
    struct uidset uids;
    enum err e = ERR_OK;
    uidset_init(&uids);
    for (size_t i = 0; i < run->news.count; i++)
        if (run->news.at[i].missing)
            uidset_add(&uids, run->news.at[i].uid);
    run->side = COPY_SIDE_FROM;
    if (!uidset_empty(&uids))
        e = imapc_each_of(run->options->from.imap, &uids, "", tell_missing, run);
    uidset_done(&uids);
    return e;
}

/* Those that were refused with their keywords go once more, without; and those that came out of their turn. */
static bool prepare_again(struct copy_run *run)
{
    bool any = false;
    for (size_t i = 0; i < run->news.count; i++) {
        struct copy_message *m = &run->news.at[i];
        m->recorded = !m->again;
        any |= m->again;
        m->again = false;
    }
    return any;
}

enum err copy_send_all(struct copy_run *run)
{
    run->answers = 0;
    run->one_by_one = false;
    run->answers_max = 4 * (uint64_t)run->news.count + run->box.exists + 1000;
    enum err e = send_once(run);
    /* three times at most: asked for alone, a message comes in its turn; without keywords, it is not refused for them */
    while (e == ERR_OK && !run->stopped && !run->counts->full && prepare_again(run))
        e = send_once(run);
    return e == ERR_OK && !run->counts->full ? check_missing(run) : e;
}

enum err copy_answered(
    void *arg, const struct copy_item *item, enum copy_answer answer, struct slice words)
{
    struct copy_run *run = arg;
    struct copy_message *m = item->owner;
    switch (answer) {
    case COPY_STORED:
        run->counts->copied++;
        run->here.copied++;
        run->counts->bytes += m->bytes;
        run->here.bytes += m->bytes;
        copy_tell(run, &(struct copy_event){ .kind = COPY_PROGRESS, .counts = run->counts });
        break;
    case COPY_FULL:
        run->counts->full = true;
        break;
    case COPY_NO_FOLDER:
        copy_stop_folder(run, COPY_SIDE_TO, words);
        break;
    case COPY_KEYWORDS:
        m->again = m->plain = true;
        break;
    case COPY_TOO_BIG:
        copy_tell_failed(run, COPY_MESSAGE_TOO_BIG, COPY_SIDE_TO, m->uid, words);
        break;
    case COPY_REFUSED:
    default:
        copy_tell_failed(run, COPY_MESSAGE_FAILED, COPY_SIDE_TO, m->uid, words);
        break;
    }
    return ERR_OK;
}
