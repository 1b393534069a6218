/* What POP3 does to a mailbox: chosen by its owner, for the account and, where that is wanted, for one device.
 *
 *   setting   values, default first                  what it says
 *   window    now | all | DAYS                       which mail is shown: filed since POP3 was switched on, all, or arrived in so many days
 *   folders   inbox | all | NAME[,NAME...]           of which mailboxes; all = all but Junk, Trash, Drafts and Sent. "\," is a comma in a name
 *   sent      off | on                               and Sent
 *   list      shared | device                        every program sees the same (RFC 1939), or each what it has not taken yet
 *   dele      trash | expunge | hide | archive       what DELE does
 *   after     keep | quit | DAYS                     what a complete download does: nothing, as DELE at QUIT, as DELE so many days later
 *   unread    goes | stays                           whether `after` takes what nobody has read by IMAP
 *   read      no | quit                              whether QUIT marks what was downloaded as read
 *   lock      snapshot | exclusive                   several sessions at a time, or one
 *   newest    all | N                                only so many, the newest
 *
 * Whatever is chosen: nothing happens before QUIT is answered, and what a program has deleted it is never shown again. */
#ifndef AUTH_POP_POLICY_H
#define AUTH_POP_POLICY_H

#include "auth/directory.h"
#include "base/buf.h"

#define POP_FOLDERS_BYTES_MAX 1000u
#define POP_DAYS_MAX          3650u
#define POP_NEWEST_MAX        1000000u

enum pop_setting {
    POP_SETTING_WINDOW,
    POP_SETTING_FOLDERS,
    POP_SETTING_SENT,
    POP_SETTING_LIST,
    POP_SETTING_DELE,
    POP_SETTING_AFTER,
    POP_SETTING_UNREAD,
    POP_SETTING_READ,
    POP_SETTING_LOCK,
    POP_SETTING_NEWEST,
    POP_SETTING_COUNT
};

struct pop_policy {
    enum { POP_WINDOW_NOW, POP_WINDOW_ALL, POP_WINDOW_DAYS } window;
    unsigned window_days;
    enum { POP_FOLDERS_INBOX, POP_FOLDERS_ALL, POP_FOLDERS_LIST } folders;
    char names[POP_FOLDERS_BYTES_MAX + 1]; /* as the setting has them */
    bool with_sent;
    bool list_per_device;
    enum { POP_DELE_TRASH, POP_DELE_EXPUNGE, POP_DELE_HIDE, POP_DELE_ARCHIVE } dele;
    enum { POP_AFTER_KEEP, POP_AFTER_QUIT, POP_AFTER_DAYS } after;
    unsigned after_days;
    bool unread_stays, mark_read, exclusive;
    unsigned newest;  /* 0 = all */
    int64_t since_ms; /* of window=now: when it was switched on; 0 = with the account */
    bool own;         /* of this device, not of the account */
};

const char *pop_setting_name(enum pop_setting setting);
/* The values it takes, for people: "now | all | DAYS". */
const char *pop_setting_values(enum pop_setting setting);
/* ERR_NOT_FOUND. */
enum err MUST_USE pop_setting_find(struct slice name, enum pop_setting *out_setting);
/* ERR_SYNTAX: not one of its values; ERR_LIMIT: a number or a list that is too large. */
enum err MUST_USE pop_policy_set(struct pop_policy *policy, enum pop_setting setting, struct slice value);
/* Appends the value as pop_policy_set takes it. */
void pop_policy_value(const struct pop_policy *policy, enum pop_setting setting, struct buf *out);
/* The next name of a list of folders, its escapes undone, in out (POP_FOLDERS_BYTES_MAX + 1 bytes). False: there is none. */
bool pop_folder_next(struct slice *list, char *out);

/* ---- in directory.db ---- */

/* What holds for user->device: its own, else that of the account, else the defaults. */
enum err MUST_USE directory_pop_policy(struct directory *directory, const struct user *user, struct pop_policy *out_policy);
/* Of user->device; 0: of the account, and of all devices without one of their own. ERR_NOT_FOUND: no such user or device. */
enum err MUST_USE directory_pop_policy_set(struct directory *directory, const struct user *user, const struct pop_policy *policy);
/* Ids of the users whose policy, or that of one of their devices, may say after=DAYS; in the arena. Some say it nowhere. */
enum err MUST_USE directory_pop_after_days(struct directory *directory, struct arena *arena, char (**out_ids)[USER_ID_BYTES + 1], size_t *out_count);
/* The device goes by the account's again; the account by the defaults, but its since_ms stays. */
enum err MUST_USE directory_pop_policy_reset(struct directory *directory, const struct user *user);

#endif
