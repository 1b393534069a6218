/* What may be in a message's text: a small set of its sequences of three characters (a Bloom filter with one hash), so that SEARCH BODY and TEXT need
 * not read messages that cannot hold what is looked for. It never denies text that msg_text_contains finds; it may not rule out what is not there.
 *
 * Derived: made by msg_text_contains, thrown away and made anew at will. */
#ifndef MESSAGE_FILTER_H
#define MESSAGE_FILTER_H

#include "base/buf.h"
#include "base/slice.h"

/* Raised whenever text is extracted or folded in another way: filters of other versions say nothing and are made anew. */
#define MSG_FILTER_VERSION 2

/* False: no text of that message holds the folded needle. True also for a filter that is empty, damaged or of another version, and for
 * needles too short to tell. */
bool msg_filter_may_hold(struct slice filter, struct slice folded_needle);
/* Whether it can be asked at all. */
bool msg_filter_known(struct slice filter);

/* ---- making one ---- */

struct msg_filter_maker;

struct msg_filter_maker *msg_filter_maker_new(void);
void msg_filter_maker_free(struct msg_filter_maker *maker);
/* Takes folded text. Text that goes on is given with at least its last two characters repeated at the start of the next piece. */
void msg_filter_maker_take(struct msg_filter_maker *maker, struct slice folded);
/* Appends the filter, as small as what it holds allows. */
void msg_filter_maker_write(struct msg_filter_maker *maker, struct buf *out);

#endif
