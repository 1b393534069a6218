/* What SORT and THREAD share: the table of the mailbox, with the facts that are wanted of the messages found. */
#ifndef SERVER_IMAP_IMAPD_SORT_INT_H
#define SERVER_IMAP_IMAPD_SORT_INT_H

#include "server/imap/imapd_search_int.h"

struct imapd_table {
    struct sort_table *table;
    struct sort_cached *cached; /* taken; NULL: the table is the command's own */
};

/* A table that knows the facts of every message in uids: the mailbox's, when most of it is wanted or known, else one for this command. Waits for the
 * disk. ERR_LIMIT: it would be larger than SORT_TABLE_BYTES_MAX. */
enum err MUST_USE imapd_table_open(struct imapd_session *s, unsigned facts,
    const struct uidset *uids, struct imapd_table *out_table);
/* Before anything is written to the client. */
void imapd_table_close(struct imapd_session *s, struct imapd_table *table);

/* The number of a message in the answer: its uid, or where it stands in the view. */
static inline uint32_t imapd_number(struct imapd_session *s, bool uid, uint32_t n)
{
    return uid ? n : uidset_rank(&s->view.uids, n);
}

#endif
