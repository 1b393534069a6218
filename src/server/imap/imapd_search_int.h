/* One SEARCH while it runs. */
#ifndef SERVER_IMAP_IMAPD_SEARCH_INT_H
#define SERVER_IMAP_IMAPD_SEARCH_INT_H

#include "message/summary.h"
#include "server/imap/imapd_int.h"

/* What a key costs to ask of one message: cheap ones are asked first. */
enum search_cost {
    COST_UID,     /* nothing is read */
    COST_ROW,     /* uid, flags, modseq */
    COST_EMAIL,   /* size, date of arrival */
    COST_SUMMARY, /* header fields */
    COST_BODY,    /* the text itself */
};

/* A key made ready: sets resolved, text folded, keywords looked up. In the command's arena. */
struct search_key {
    enum imap_search_kind kind;
    enum search_cost cost;
    struct search_key *list, *next;
    struct uidset *
        uids; /* owned by the search; of SEQ, UID, and of HEADER once the mailbox's table was asked: those that match */
    struct uidset
        *unsure;   /* the same; of HEADER: those that must be asked themselves. NULL: none */
    uint64_t bits; /* of FLAG, UNFLAG, KEYWORD, UNKEYWORD; 0 = no message has it */
    uint64_t number;
    int64_t day;
    struct slice field, text; /* text is folded */
};

struct search_set {
    struct search_set *next;
    struct uidset uids;
};

struct imapd_search {
    struct imapd_session *s;
    struct slice charset;
    bool bad_charset;
    struct search_set *sets; /* in the arena; their uids are released at the end */
    size_t set_bytes;        /* of the uids of the sets that are made */
    struct search_key *root;
    struct uidset candidates; /* messages that the rows are read of */
    uint64_t flags_all, flags_none, modseq_above;
    bool nothing;      /* no message can match */
    bool wants_modseq; /* a MODSEQ key stands somewhere */
    /* of the row in question */
    const struct store_row *row;
    bool has_summary;
    bool has_filter; /* made meanwhile */
    struct msg_summary summary;
    struct store_body *body;
    struct imapd_made made, filters;
};

/* Makes the keys ready and takes out of the top level what rows can be chosen by. */
enum err MUST_USE imapd_search_prepare(struct imapd_search *q, const struct imap_search_args *args);
/* Asks the mailbox's table (message/sort.h) about header fields that it knows, and makes sets of uids of those keys. Waits for the disk. */
enum err MUST_USE imapd_search_ask_table(struct imapd_search *q);
/* What keys cost now; those of the top level that rows can be chosen by are taken out. */
void imapd_search_choose(struct imapd_search *q);
/* A set that lives as long as the search. */
enum err MUST_USE imapd_search_set(struct imapd_search *q, struct uidset **out_set);
/* Such a set is made. ERR_LIMIT: all of them together are more than COMMAND_ARENA_BYTES_MAX. */
enum err MUST_USE imapd_search_set_made(struct imapd_search *q, const struct uidset *set);
/* Whether the row matches. */
enum err MUST_USE imapd_search_matches(
    struct imapd_search *q, const struct search_key *key, bool *out_matches);
void imapd_search_done(struct imapd_search *q);

/* The messages of the view that match; found is initialised. *out_modseq: the highest of theirs when a MODSEQ key asks for it, else 0. For a charset
 * we do not know the answer NO is written: see cmd->answered. Waits for the disk. */
enum err MUST_USE imapd_search_find(struct imapd_session *s, struct imapd_cmd *cmd,
    const struct imap_search_args *args, struct uidset *found, uint64_t *out_modseq);
/* The end of "* SEARCH" and "* SORT", with the modseq unless it is 0 (RFC 7162 §3.1.5, §3.1.9). */
void imapd_search_write_end(struct imapd_session *s, uint64_t modseq);

#endif
