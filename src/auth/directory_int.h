/* What the directory's files share, and what auth.c needs of it beyond directory.h. Private to auth. */
#ifndef AUTH_DIRECTORY_INT_H
#define AUTH_DIRECTORY_INT_H

#include "auth/directory.h"
#include "auth/password.h"
#include "sql/sql.h"

#include <pthread.h>

enum directory_sql {
    SQL_VERSION,
    SQL_DOMAIN,
    SQL_DOMAINS,
    SQL_DOMAIN_IN_USE,
    SQL_DOMAIN_INSERT,
    SQL_DOMAIN_DELETE,
    SQL_USER,
    SQL_USER_BY_ID,
    SQL_USER_OLDEST,
    SQL_USERS,
    SQL_USER_INSERT,
    SQL_USER_SET,
    SQL_USER_PASSWORD,
    SQL_USER_UPGRADE,
    SQL_USER_DELETE,
    SQL_ALIAS_TARGETS,
    SQL_ALIASES,
    SQL_ALIAS_INSERT,
    SQL_ALIAS_DELETE,
    SQL_ALIAS_DELETE_DANGLING,
    SQL_APP_PASSWORDS,
    SQL_APP_PASSWORD_COUNT,
    SQL_APP_PASSWORD_INSERT,
    SQL_APP_PASSWORD_ID,
    SQL_APP_PASSWORD_EXISTS,
    SQL_APP_PASSWORD_DELETE,
    SQL_DEVICES,
    SQL_DEVICE_USES,
    SQL_DEVICE_USE_ADD,
    SQL_DEVICE_USES_DELETE,
    SQL_POP_POLICY,
    SQL_POP_POLICY_SET,
    SQL_POP_POLICY_USERS,
    SQL_POP_POLICY_DELETE,
    SQL_POP_POLICY_CLEAR,
    SQL_POP_POLICY_SINCE,
    SQL_POP_POLICY_SINCE_DEVICES,
    SQL_META,
    SQL_COUNT
};

/* One connection to the file. */
struct directory_link {
    pthread_mutex_t lock;
    struct sql_db sql; /* under lock */
};

/* Two connections, so that a login never waits for a write that waits for the disk; WAL gives the reader what was committed last.
 * Lock order: never both. */
struct directory {
    struct directory_link reader, writer;
    unsigned char
        name_key[32]; /* makes the invented salts of unknown users; the same after a restart */
};

/* Locks and begins; directory_write_end commits when e is ERR_OK, else rolls back, unlocks, and returns what came of it. */
enum err MUST_USE directory_write_begin(struct directory *directory);
enum err MUST_USE directory_write_end(struct directory *directory, enum err e);
/* The same for several reads of one moment. Always to be ended. */
enum err MUST_USE directory_read_begin(struct directory *directory);
void directory_read_end(struct directory *directory);

/* With the link's lock held; address is canonical. record may be NULL. ERR_NOT_FOUND. */
enum err MUST_USE directory_find(struct directory_link *link, enum directory_sql sql,
    struct slice key, struct user *out_user, struct password_record *out_record);
enum err MUST_USE directory_find_domain(struct directory_link *link, struct slice domain);
/* ERR_OK: there is such an alias. */
enum err MUST_USE directory_find_alias(struct directory_link *link, struct slice alias);
void directory_read_user(sqlite3_stmt *statement, struct user *out_user);

/* For auth.c: the row and its secrets in one read. */
enum err MUST_USE directory_secret(struct directory *directory, struct slice canonical,
    struct user *out_user, struct password_record *out_record);
/* Replaces the hash unless somebody changed it meanwhile. */
enum err MUST_USE directory_upgrade(struct directory *directory, struct slice id,
    const char *old_hash, const struct password_record *record);
/* The app passwords of a user, one after the other: what is needed to check one. row is borrowed; `take` runs with the reader's lock held. */
struct app_password_row {
    int64_t id;
    unsigned services;
    int64_t expires_s;
    struct slice networks, hash, keys; /* keys: APP_PASSWORD_SPELLINGS times struct scram_keys */
};
typedef void app_password_take_fn(void *take_arg, const struct app_password_row *row);
enum err MUST_USE directory_app_passwords(
    struct directory *directory, struct slice user_id, app_password_take_fn *take, void *take_arg);
/* A new id: 53 random bits, so that JSON can carry it. */
int64_t directory_new_device(void);
/* Inside a write: POP3 shows what is filed from now on, when the user has not had it so far. */
enum err MUST_USE directory_pop_switched_on(
    struct directory_link *link, const struct user *user, int64_t now_ms);
/* The only domain, for names without one. ERR_NOT_FOUND when there are none or several. */
enum err MUST_USE directory_sole_domain(struct directory *directory, char *out);

#endif
