/* One message against the keys of a SEARCH. */
#include "message/filter.h"
#include "message/text.h"
#include "proto/imap/imap_date.h"
#include "server/imap/imapd_search_int.h"

static enum err open_summary(struct imapd_search *q)
{
    if (!q->has_summary)
        TRY(imapd_summary(q->s, q->row, &q->body, &q->made, &q->summary));
    q->has_summary = true;
    return ERR_OK;
}

/* A source that opens the body only when somebody reads: most header keys are answered by the summary. */
static enum err lazy_read(void *source_arg, uint64_t offset, size_t len, struct buf *out)
{
    struct imapd_search *q = source_arg;
    struct msg_source source;
    TRY(imapd_source(q->s, q->row, &q->body, &source));
    return msg_source_read(&source, offset, len, out);
}

static enum err match_header(struct imapd_search *q, const struct search_key *key, bool *out)
{
    *out = key->uids && uidset_has(key->uids, q->row->uid);
    if (*out || (key->uids && !(key->unsure && uidset_has(key->unsure, q->row->uid))))
        return ERR_OK;
    TRY(open_summary(q));
    struct msg_source lazy = { .size = q->row->size, .read = lazy_read, .source_arg = q };
    return msg_field_contains(&q->summary, &lazy, key->field, key->text, out);
}

static enum err match_text(struct imapd_search *q, const struct search_key *key, bool *out)
{
    struct msg_source source;
    if (!key->text.len) { /* every text holds the empty one */
        *out = true;
        return ERR_OK;
    }
    *out = msg_filter_may_hold(q->row->filter, key->text);
    if (!*out)
        return ERR_OK;
    TRY(open_summary(q));
    TRY(imapd_source(q->s, q->row, &q->body, &source));
    bool make = !q->has_filter && !msg_filter_known(q->row->filter);
    imapd_made_keep_many(q->s, &q->filters);
    size_t at = buf_len(&q->filters.bytes);
    TRY(msg_text_contains(&q->summary, &source, key->text, key->kind == IMAP_SEARCH_TEXT,
        make ? &q->filters.bytes : NULL, out));
    if (make)
        imapd_made_add(&q->filters, q->row->email, at);
    q->has_filter |= make;
    return ERR_OK;
}

static enum err match_sent(struct imapd_search *q, const struct search_key *key, bool *out)
{
    struct msg_facts facts;
    TRY(open_summary(q));
    msg_facts(&q->summary, &facts);
    *out = false;
    if (facts.date_s == INT64_MIN)
        return ERR_OK;
    int64_t day = imap_date_day(facts.date_s, facts.date_tz_min);
    *out = key->kind == IMAP_SEARCH_SENTBEFORE ? day < key->day
           : key->kind == IMAP_SEARCH_SENTON   ? day == key->day
                                               : day >= key->day;
    return ERR_OK;
}

/* AND: the first that fails ends it; OR: the first that holds. */
static enum err match_list(struct imapd_search *q, const struct search_key *key, bool *out)
{
    bool any = key->kind == IMAP_SEARCH_OR, result = !any;
    for (const struct search_key *child = key->list; child && result != any; child = child->next)
        TRY(imapd_search_matches(q, child, &result));
    *out = result;
    return ERR_OK;
}

static bool match_plain(struct imapd_search *q, const struct search_key *key)
{
    const struct store_row *row = q->row;
    int64_t day = imap_date_day(row->received_s, row->received_tz_min);
    switch (key->kind) {
    case IMAP_SEARCH_ALL:
        return true;
    case IMAP_SEARCH_SEQ:
    case IMAP_SEARCH_UID:
        return uidset_has(key->uids, row->uid);
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_KEYWORD:
        return (row->flags & key->bits) != 0;
    case IMAP_SEARCH_UNFLAG:
    case IMAP_SEARCH_UNKEYWORD:
        return (row->flags & key->bits) == 0;
    case IMAP_SEARCH_NEW:
        return !(row->flags & STORE_SEEN) && uidset_has(&q->s->view.recent, row->uid);
    case IMAP_SEARCH_OLD:
        return !uidset_has(&q->s->view.recent, row->uid);
    case IMAP_SEARCH_RECENT:
        return uidset_has(&q->s->view.recent, row->uid);
    case IMAP_SEARCH_BEFORE:
        return day < key->day;
    case IMAP_SEARCH_ON:
        return day == key->day;
    case IMAP_SEARCH_SINCE:
        return day >= key->day;
    case IMAP_SEARCH_LARGER:
        return row->size > key->number;
    case IMAP_SEARCH_SMALLER:
        return row->size < key->number;
    case IMAP_SEARCH_MODSEQ:
        return row->modseq >= key->number;
    default:
        return false;
    }
}

enum err imapd_search_matches(
    struct imapd_search *q, const struct search_key *key, bool *out_matches)
{
    bool result = false;
    switch (key->kind) {
    case IMAP_SEARCH_AND:
    case IMAP_SEARCH_OR:
        return match_list(q, key, out_matches);
    case IMAP_SEARCH_NOT:
        TRY(imapd_search_matches(q, key->list, &result));
        *out_matches = !result;
        return ERR_OK;
    case IMAP_SEARCH_HEADER:
        return match_header(q, key, out_matches);
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        return match_text(q, key, out_matches);
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
        return match_sent(q, key, out_matches);
    default:
        *out_matches = match_plain(q, key);
        return ERR_OK;
    }
}
