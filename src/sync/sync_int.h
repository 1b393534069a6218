/* Private to sync/: a run and its folders. */
#ifndef SYNC_SYNC_INT_H
#define SYNC_SYNC_INT_H

#include "base/uidset.h"
#include "client/imap/imapc_mail.h"
#include "sync/state.h"
#include "sync/sync.h"

#define SYNC_FOLDERS_MAX 100000u
#define SYNC_ARENA_BYTES_MAX                                                                       \
    (1u << 30) /* of a folder: some 200 bytes for each of 5 million messages */
#define SYNC_DAY_S          (24 * 60 * 60)
#define SYNC_BATCH_MESSAGES 500u /* files that one sync of the disk makes durable */
#define SYNC_BATCH_BYTES    (16u << 20)
#define SYNC_REFUSED_MAX                                                                           \
    100u /* commands in a row: to find one bad message among all takes 32; more is a server that gives nothing */

/* A message there that no row knows. */
struct sync_new {
    uint32_t uid, flags;
    bool has_facts, settled;
    uint32_t turn;           /* when it was told */
    struct sync_facts facts; /* without hash */
    int64_t received_s;
};

/* A message that was moved here from one folder to another, to be moved there too. */
struct sync_move {
    struct sync_folder *from;
    struct sync_row *old, *up; /* the row in from; the UP row in the folder that it is now in */
};

/* A folder that is gone on one side goes on the other, at the end of the run: messages that were moved out of it are moved first. */
enum sync_goes {
    SYNC_STAYS,
    SYNC_GOES_HERE,
    SYNC_GOES_THERE,
};

struct sync_folder {
    struct sync_folder_row row; /* id 0: not in the state yet */
    char delimiter;
    bool raw;                            /* its name is no modified UTF-7 */
    bool far_exists, near_exists, known; /* known: the state has it */
    bool noselect;
    bool imagined; /* there; a dry run counts what would go into it */
    bool excluded; /* by the account's patterns */
    enum sync_goes goes;
    bool has_status;
    struct sync_far_state status; /* of LIST-STATUS; then of SELECT */
    bool far_dirty;               /* something there may have changed */
    bool listed_all;              /* every message there was listed: what was not seen is gone */
    bool since;                   /* only changes since the last run were asked for */
    bool again;                   /* a SEARCH of what is there follows */
    bool
        modseq_back; /* HIGHESTMODSEQ is less than it was: changes since then mean nothing, list it all */
    bool new_uids; /* UIDVALIDITY changed: rows were made UP */
    bool looked;   /* it was selected in this run: permanent is what it said */
    uint32_t
        permanent; /* flags that are kept there (PERMANENTFLAGS, RFC 9051 §7.1); none of a read-only one */
    bool stopped;
    bool refused; /* the server said NO to messages that were asked for */
    bool
        behind; /* something was not done here: what the server said is not recorded, and said again */
    uint32_t exists;
    uint32_t to_list; /* when it was selected; less what was removed since */

    struct arena arena;
    struct near_folder near;
    bool near_open;
    int undo_fd; /* 0: nothing was removed from it yet */
    struct sync_row *rows;
    size_t count;
    struct sync_new *news; /* in the order of UIDs, each once, unless out_of_order */
    size_t new_count, new_cap;
    bool out_of_order;
    struct sync_row **ups; /* rows to be found or sent: of the state, and of this run */
    size_t up_count, up_cap;
    struct sync_move *moves; /* to this folder */
    size_t move_count, move_cap;
    bool keywords_changed;
    uint64_t changed;
    struct imapc_task task, task2;
    struct sync_run *run; /* borrowed */
};

struct sync_run {
    const struct sync_options *options;
    struct state *state;
    int root_fd;
    int64_t begin_s;             /* names what this run removes, in the undo store */
    struct sync_folder *folders; /* owned */
    size_t count, cap;
    char
        far_delimiter; /* of folders of our own there: as NAMESPACE says, or INBOX has it, or the first of the list */
    bool has_delimiter; /* NAMESPACE said it */
    char *
        far_prefix; /* owned; of our own folders there, which have none of it here: "INBOX."; NULL: none */
    bool made_below; /* a folder in a folder was made there */
    bool
        blind; /* a folder here could not be read: what is missing elsewhere may be in it, so nothing is removed */
    const struct sync_folder *selected;
    struct sync_counts *counts;
    struct client_failure *failure;
    struct err_note *note; /* of failure */
};

/* ---- a run, step by step ---- */
/* Opens what it needs: the Maildir's root (-1 in a dry run without one), the state. */
enum err MUST_USE sync_open(struct sync_run *run);
/* All folders, of the state and of both sides. From here on their array does not move. */
enum err MUST_USE sync_list(struct sync_run *run);
/* Says in run->failure what failed; gives e back. */
enum err sync_failed(struct sync_run *run, enum err e, bool opened);
void sync_release(struct sync_run *run);

void sync_tell(struct sync_run *run, enum sync_event_kind kind, const struct sync_folder *folder,
    const char *text, uint64_t count);
/* Leaves a folder as it is, once, and says why; the run goes on. */
void sync_stop_folder(struct sync_folder *folder, enum sync_stop reason, struct slice text);
/* The same, with what the server said last. */
void sync_stop_refused(struct sync_folder *folder);
/* The folder is told of as if it were left, and goes on; what the server said is not recorded. */
void sync_tell_short(struct sync_folder *folder);
/* The server says NO to something of so many messages: the rest of the folder goes on, and the next run tries again. text: its words. */
void sync_tell_refused(
    struct sync_folder *folder, enum sync_stop what, struct slice text, uint64_t count);
/* Messages that were listed did not come; the folder goes on, and the next run asks for them again. */
void sync_tell_not_given(struct sync_folder *folder, uint64_t count);
/* A file here cannot be read, so its message does not go there. */
void sync_tell_unreadable(struct sync_folder *folder, const struct near_file *file);
/* What is not the connection's or the state's failure stops only the folder. */
bool sync_is_fatal(const struct sync_run *run, enum err e);

/* ---- far ---- */
enum err MUST_USE sync_list_far(struct sync_run *run);
/* The path that a folder of this name has here. *out_raw: the name is no modified UTF-7. ERR_SYNTAX, ERR_LIMIT: it can have none. */
enum err MUST_USE sync_path_of(const struct sync_run *run, struct slice far_name, char delimiter,
    bool *out_raw, struct buf *out_path);
/* Whether the name is INBOX or one in it, which the prefix does not hide. */
bool sync_is_in_inbox(struct slice far_name, char delimiter);
/* Leaves out what the account's patterns leave out. */
void sync_choose(struct sync_run *run);
/* What changed there in every folder that needs a look. */
enum err MUST_USE sync_gather_far(struct sync_run *run);
/* Size, Message-ID and date of the news that have none yet, with a UID of at least `from`. */
enum err MUST_USE sync_identify(struct sync_folder *folder, uint32_t from);
/* Those of a FETCH answer, for a message that is among the news. */
enum err MUST_USE sync_take_facts(struct sync_folder *folder, const struct imap_reply *reply);
/* ERR_BUSY, and the folder is stopped: its UIDs mean something else than when it was gathered. */
enum err MUST_USE sync_select(struct sync_folder *folder);
/* An imapc_task.data for every SELECT after that of the gathering: stops the folder then. owner of the task aside. */
void sync_check_uidvalidity(struct sync_folder *folder, const struct imap_reply *reply);
/* Binds what went up to a server that does not say which UID it gave. */
enum err MUST_USE sync_find_new(struct sync_folder *folder);
bool sync_is_inbox(const struct sync_folder *folder);
/* Nothing changed there since the last run, as far as STATUS can tell. */
bool sync_is_clean(const struct sync_folder *folder);
/* Queues "VERB name behind". */
void sync_queue_named(const struct sync_folder *folder, struct imapc_task *task, const char *verb,
    const char *behind);
/* Takes the name of the folder as a command has it. */
void sync_add_name(struct buf *out, const struct sync_folder *folder);
/* The same flags in the bits of another folder. */
uint32_t sync_translate(const struct sync_folder *from, struct sync_folder *to, uint32_t flags);
/* Mask of a FLAGS list. */
uint32_t sync_far_flags(struct sync_folder *folder, const struct imap_value *list);
/* "(\\Seen $x)" */
void sync_write_flags(const struct sync_folder *folder, uint32_t flags, struct buf *out);
struct sync_row *sync_row_of_uid(struct sync_folder *folder, uint32_t uid);
/* One more of the news, or flags anew of one that is among them. Afterwards sync_order_news before anybody goes through them. NULL: no memory left. */
struct sync_new *sync_add_new(struct sync_folder *folder, uint32_t uid, uint32_t flags);
/* In the order of UIDs, each once; pointers to news are void. */
void sync_order_news(struct sync_folder *folder);
void sync_forget_news(struct sync_folder *folder);
/* NULL: it is not among them. */
struct sync_new *sync_new_of_uid(struct sync_folder *folder, uint32_t uid);

/* ---- near ---- */
enum err MUST_USE sync_list_near(struct sync_run *run);
/* Rows, files, and which belong together; completes what a cut run left. */
enum err MUST_USE sync_gather_near(struct sync_run *run);
/* Puts a row on the list of those to be found there or sent; once. */
enum err MUST_USE sync_remember_up(struct sync_folder *folder, struct sync_row *row);
enum err MUST_USE sync_add_up(struct sync_folder *folder, struct near_file *file,
    const struct sync_facts *facts, uint32_t flags, uint32_t bound);

/* ---- match ---- */
/* Whether the file of an UP row that both sides may have is the message of this size, and hash where one is given, but for the field that mbsync put into it. */
bool sync_is_but_for_tuid(struct sync_folder *folder, const struct sync_row *row, uint64_t bytes,
    const unsigned char *hash);
/* Binds UP rows to news that are the same message. */
enum err MUST_USE sync_match_ups(struct sync_folder *folder);
enum err MUST_USE sync_match_moves(struct sync_run *run);

/* Moves that a cut run had announced; what is left of them is done, and counts as no removal. After sync_match_ups. */
enum err MUST_USE sync_resume_moves(struct sync_run *run);
/* Files without a row become UP rows, those that were moved from another folder among them. */
enum err MUST_USE sync_announce_ups(struct sync_run *run);

/* ---- apply ---- */
/* Moves made here, done there; in a dry run counted. */
enum err MUST_USE sync_move_there(struct sync_run *run);
/* \Deleted and EXPUNGE of these and no others; *out_gone false: they are only marked, because the server cannot do that. After an error it says whether some are gone. */
enum err MUST_USE sync_expunge(
    struct sync_folder *folder, const struct uidset *uids, bool *out_gone);
/* To the undo store. */
enum err MUST_USE sync_take_out(struct sync_folder *folder, const struct near_file *file);
/* Every message of a folder there into the undo store. ERR_BUSY: something came into it since it was listed; ERR_DENIED: not all of it could be had. */
enum err MUST_USE sync_keep_folder(struct sync_folder *folder, struct buf *out_names);
/* Nothing was removed after all: what was kept would be kept anew by every run. names: of the files, each with its NUL. */
void sync_keep_nothing(const struct sync_folder *folder, const struct buf *names);
/* Stops the folders that would lose too much, each for itself and all together. Nothing was removed before. */
void sync_brake(struct sync_run *run);
enum err MUST_USE sync_download(struct sync_run *run);
/* How many of these messages of the selected folder are still there. */
enum err MUST_USE sync_count_there(
    const struct sync_folder *folder, const struct uidset *uids, uint64_t *out_count);
enum err MUST_USE sync_apply_folder(struct sync_folder *folder);
/* Folders: those that are known but gone on one side, and those that are new on one side. Renames there come before anything is read here,
 * everything else after. */
enum err MUST_USE sync_renames_there(struct sync_run *run);
enum err MUST_USE sync_folders(struct sync_run *run);
/* Removes the folders that go. */
enum err MUST_USE sync_remove_folders(struct sync_run *run);
/* Reads a folder here that was made or renamed in this run. */
enum err MUST_USE sync_load(struct sync_folder *folder);

#endif
