/* Private to copy/: a run from server to server. */
#ifndef COPY_COPY_INT_H
#define COPY_COPY_INT_H

#include "base/map.h"
#include "copy/copy.h"
#include "copy/target.h"

#define COPY_AHEAD_MAX 64u /* FETCH commands sent ahead: more than a round trip's worth */
#define COPY_FLAG_SETS_BYTES                                                                       \
    (32u << 20) /* of different sets of flags in a folder; mailboxes have some hundreds */

struct copy_run;

/* One message that was asked for. Its bytes may come while the command of another is still the oldest: Dovecot answers several together. */
struct copy_fetch {
    struct imapc_task task;
    struct copy_run *run;
    struct copy_message *message; /* of run->news; NULL: nothing is asked for */
    bool begun;                   /* its bytes have begun */
    bool going;                   /* they go out */
    bool ended;                   /* whole, and the one that was asked for */
};

struct copy_run {
    const struct copy_options *options;
    struct copy_counts *counts;
    enum copy_side side; /* whose fault an error is */
    struct copy_target target;
    uint64_t key[2]; /* of the hashes of Message-IDs */
    bool keywords_told;

    /* of the folder */
    const struct imapc_folder *folder;
    const char *to_name;
    struct copy_counts here;
    struct imapc_box box;
    struct copy_list news;
    uint64_t unlisted;     /* that the source says it has, and did not list */
    struct map flag_index; /* a set of flags -> its number + 1 */
    char **flag_sets;      /* owned */
    size_t flag_count, flag_cap, flag_bytes;
    struct copy_fetch fetches[COPY_AHEAD_MAX];
    struct copy_fetch *open; /* whose bytes are coming */
    size_t asked;            /* fetches that are not answered */
    bool
        uid_first; /* the source says the UID before the bytes: more than one may be asked for at once */
    bool one_by_one; /* and yet they are not: some came out of their turn */
    size_t next;     /* of news, to be asked for */
    uint64_t answers, answers_max;
    bool stopped;
};

void copy_tell(struct copy_run *run, const struct copy_event *event);
/* A message that stays behind. */
void copy_tell_failed(struct copy_run *run, enum copy_event_kind kind, enum copy_side side,
    uint32_t uid, struct slice words);
/* Leaves the folder, once; words: why, the server's or ours. */
void copy_stop_folder(struct copy_run *run, enum copy_side side, struct slice words);
/* A set of flags as its number. ERR_LIMIT. */
enum err MUST_USE copy_add_flags(
    struct copy_run *run, const struct imap_value *list, uint32_t *out_number);

/* The messages of the selected folder that have no row. */
enum err MUST_USE copy_list_news(struct copy_run *run);
/* What of run->news has no mate yet goes over. */
enum err MUST_USE copy_send_all(struct copy_run *run);
/* What became of it, for struct copy_target. */
enum err copy_answered(
    void *arg, const struct copy_item *item, enum copy_answer answer, struct slice words);

#endif
