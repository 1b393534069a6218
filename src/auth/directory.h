/* directory.db: who exists here, and what each may do. One SQLite file (WAL), written by the command line and read by the server at the same
 * time: a change is effective at the next login or RCPT. Thread-safe; calls wait for the disk. */
#ifndef AUTH_DIRECTORY_H
#define AUTH_DIRECTORY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

struct directory;

#define USER_ID_BYTES 32

enum user_service {
    USER_IMAP       = 1,
    USER_POP3       = 2,
    USER_SUBMISSION = 4,
};

struct user {
    char id[USER_ID_BYTES + 1];              /* the account's folder in the store; never reused */
    char address[USER_NAME_BYTES_MAX + 1];   /* canonical, for people: UTF-8, domain as U-label */
    unsigned services;                       /* enum user_service bits */
    bool disabled;
    uint64_t quota_bytes, quota_messages;    /* 0 = none */
    int64_t created_s;
    uint64_t secret; /* changes with the main password; 0: nothing is known of it yet */
    int64_t device; /* after a login: the app password it was made with, never reused; 0 = the main password. services are those it leaves */
};

enum err MUST_USE directory_open(const char *file, bool create, struct directory **out_directory, struct err_note *note);
void directory_close(struct directory *directory);
/* Changes whenever anything in the file changed, also by another process. Cheap. */
uint64_t directory_version(struct directory *directory);

/* Canonical form of an address: local part NFKC + case folded, domain lower case as U-label (IDNA 2008, libidn2), both checked.
 * out has USER_NAME_BYTES_MAX + 1 bytes. ERR_SYNTAX (also for controls, blanks, NUL, quotes that hold them), ERR_LIMIT. */
enum err MUST_USE address_canonical(struct slice address, char *out);
/* The domain alone. out has USER_NAME_BYTES_MAX + 1 bytes. */
enum err MUST_USE domain_canonical(struct slice domain, char *out);

enum err MUST_USE directory_domain_add(struct directory *directory, struct slice domain, struct err_note *note);
/* ERR_BUSY while users or aliases are in it. */
enum err MUST_USE directory_domain_remove(struct directory *directory, struct slice domain, struct err_note *note);
enum err MUST_USE directory_domains(struct directory *directory, struct arena *arena, struct slice **out_list,
        size_t *out_count);
bool directory_domain_is_local(struct directory *directory, struct slice domain);

struct user_new {
    struct slice address;
    struct slice password; /* clear; hashed here with argon2id and as SCRAM secret; wiped by the caller */
    struct slice imported_hash; /* instead of password: a crypt(3) hash ("$2y$", "$6$", "$y$" ...); replaced by argon2id at the first login */
    unsigned services;
    uint64_t quota_bytes, quota_messages;
};
/* Many in one transaction: all or none; on failure note names the row, counted from 1. ERR_NOT_FOUND: its domain is not ours; ERR_EXISTS: there
 * is such a user or alias, or twice in the list; ERR_SYNTAX: the address, the password or the imported hash; ERR_LIMIT. Hashing uses as many threads as there are cores. */
enum err MUST_USE directory_users_add(struct directory *directory, const struct user_new *users, size_t count,
        struct err_note *note);
/* The same; out_failed (may be NULL) is the index of the row that failed, or count when the trouble lies elsewhere. */
enum err MUST_USE directory_users_add_rows(struct directory *directory, const struct user_new *users, size_t count,
        size_t *out_failed);
enum err MUST_USE directory_user(struct directory *directory, struct slice address, struct user *out_user);
enum err MUST_USE directory_user_by_id(struct directory *directory, struct slice id, struct user *out_user);
enum err MUST_USE directory_users(struct directory *directory, struct slice domain /* empty = all */, struct arena *arena,
        struct user **out_list, size_t *out_count);
/* Writes services, disabled and quotas of user->id. */
enum err MUST_USE directory_user_set(struct directory *directory, const struct user *user);
enum err MUST_USE directory_user_password(struct directory *directory, struct slice address, struct slice password);
/* The row goes; the store's folder is the caller's to remove. Aliases to it and its app passwords go too. */
enum err MUST_USE directory_user_remove(struct directory *directory, struct slice address, struct user *out_user);

/* Writes all of it to a new file, as it is at one moment. */
enum err MUST_USE directory_copy(struct directory *directory, const char *path);
/* Opens such a copy, folder_fd's directory.db, for reading where it lies; nothing is written (one of an earlier format is read into memory and brought up to
 * date there). For directory_user, directory_users and this: */
enum err MUST_USE directory_open_copy(int folder_fd, struct directory **out_copy);
/* A user as the copy has it, password and id included, with its app passwords (an id that another has here becomes a new one), what its
 * devices did, and the aliases that led to it there and lead nowhere here. ERR_NOT_FOUND: it has none; ERR_EXISTS: there is one here. */
enum err MUST_USE directory_restore_user(struct directory *directory, struct directory *copy, struct slice address,
        struct user *out_user);

/* alias → one or more targets, each a local user or alias. ERR_NOT_FOUND: the target is neither; ERR_DENIED: the alias's domain is not
 * ours; ERR_EXISTS: a user of that name, or the pair is there already. */
enum err MUST_USE directory_alias_add(struct directory *directory, struct slice alias, struct slice target,
        struct err_note *note);
/* An alias left without a target goes too. ERR_NOT_FOUND. */
enum err MUST_USE directory_alias_remove(struct directory *directory, struct slice alias, struct slice target /* empty = all */);
struct alias {
    struct slice alias, target;
};
enum err MUST_USE directory_aliases(struct directory *directory, struct arena *arena, struct alias **out_list,
        size_t *out_count);

/* Where mail for an address goes. Follows aliases (each user once; loops end), tries the part before '+' when the whole is unknown;
 * out_detail = what stood after '+' ("" if nothing). "postmaster" in any local domain goes to the alias or user of that name, else
 * to the oldest user. ERR_NOT_FOUND: no such user; ERR_DENIED: domain is not ours; disabled users still receive. */
enum err MUST_USE directory_resolve(struct directory *directory, struct slice address, struct arena *arena,
        struct user **out_users, size_t *out_count, struct slice *out_detail);
/* May this user send as that address: its own, with any +detail, or an alias that leads to it. */
bool directory_owns(struct directory *directory, const struct user *user, struct slice address);

#endif
