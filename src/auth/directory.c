/* directory.db: opening, schema, statements, domains.
 *
 *     D-1  Every address and domain in the file is canonical (address.c), so that equality is equality of bytes.
 *     D-2  A user's id is 128 random bits and stays with one user for ever; `num` gives the order of creation.
 *     D-3  A name is a user or an alias, never both; at any commit each target of an alias is a user, or an alias that leads to one in the end.
 *     D-4  An acknowledged change is on the disk: synchronous=FULL.
 *     D-5  The salt and the number of iterations for SCRAM are a user's: there from the beginning, the same for all its passwords, and never
 *          changed, so that one challenge serves them all and a new main password leaves the app passwords right.
 *     D-6  A device's id is 53 random bits and means one app password for ever; 0 is the main password.
 *
 * Each step of `migrations` makes a new format of the one before. */
#include "auth/directory_int.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x42726469 /* "Brdi" */

static const char *const migrations[] = {
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('name_key', randomblob(32));"
    "CREATE TABLE domains(name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE users("
    "  num INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  address TEXT NOT NULL UNIQUE,"
    "  domain TEXT NOT NULL REFERENCES domains(name),"
    "  services INTEGER NOT NULL,"
    "  disabled INTEGER NOT NULL DEFAULT 0,"
    "  quota_bytes INTEGER NOT NULL DEFAULT 0,"
    "  quota_messages INTEGER NOT NULL DEFAULT 0,"
    "  created_s INTEGER NOT NULL,"
    "  hash TEXT NOT NULL,"
    "  imported INTEGER NOT NULL,"
    "  scram_iterations INTEGER NOT NULL,"
    "  scram_salt BLOB, scram_stored_key BLOB, scram_server_key BLOB);"
    "CREATE INDEX users_by_domain ON users(domain, address);"
    "CREATE TABLE aliases("
    "  alias TEXT NOT NULL,"
    "  target TEXT NOT NULL,"
    "  domain TEXT NOT NULL REFERENCES domains(name),"
    "  PRIMARY KEY(alias, target)) WITHOUT ROWID;"
    "CREATE INDEX aliases_by_target ON aliases(target);"
    "CREATE INDEX aliases_by_domain ON aliases(domain);",
    /* 2: app passwords and devices. Users with an imported hash get the salt that all have (D-5). */
    "UPDATE users SET scram_salt = randomblob(16), scram_iterations = 4096"
    "  WHERE scram_iterations = 0;"
    "CREATE TABLE app_passwords("
    "  id INTEGER PRIMARY KEY," /* the device */
    "  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  services INTEGER NOT NULL,"
    "  created_s INTEGER NOT NULL,"
    "  expires_s INTEGER NOT NULL," /* 0: never */
    "  networks TEXT NOT NULL,"     /* "": from anywhere */
    "  hash BLOB NOT NULL,"
    "  scram_keys BLOB NOT NULL," /* StoredKey and ServerKey of each spelling */
    "  UNIQUE(user, name));"
    "CREATE TABLE device_uses("
    "  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  device INTEGER NOT NULL," /* 0: the main password */
    "  service INTEGER NOT NULL,"
    "  last_s INTEGER NOT NULL,"
    "  address TEXT NOT NULL,"
    "  retrieved INTEGER NOT NULL,"
    "  PRIMARY KEY(user, device, service)) WITHOUT ROWID;",
    /* 3: what POP3 does. Device 0 is the account. */
    "CREATE TABLE pop_policies("
    "  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    "  device INTEGER NOT NULL,"
    "  since_ms INTEGER NOT NULL," /* POP3 was switched on; 0: with the account */
    "  settings TEXT NOT NULL,"
    "  PRIMARY KEY(user, device)) WITHOUT ROWID;"
    "CREATE TRIGGER pop_policy_of_app_password AFTER DELETE ON app_passwords BEGIN"
    "  DELETE FROM pop_policies WHERE user = old.user AND device = old.id; END;",
};
static const struct sql_format format = { .steps = migrations,
    .version = sizeof migrations / sizeof *migrations,
    .application_id = APPLICATION_ID };

#define USER_COLUMNS                                                                               \
    "id, address, services, disabled, quota_bytes, quota_messages, created_s, hash, imported, "    \
    "scram_iterations, scram_salt, scram_stored_key, scram_server_key"

static const char *const sql_texts[SQL_COUNT] = {
    [SQL_VERSION] = "PRAGMA data_version",
    [SQL_DOMAIN] = "SELECT 1 FROM domains WHERE name = ?1",
    [SQL_DOMAINS] = "SELECT name FROM domains ORDER BY name",
    [SQL_DOMAIN_IN_USE] = "SELECT 1 WHERE EXISTS(SELECT 1 FROM users WHERE domain = ?1)"
                          " OR EXISTS(SELECT 1 FROM aliases WHERE domain = ?1)",
    [SQL_DOMAIN_INSERT] = "INSERT INTO domains(name) VALUES(?1)",
    [SQL_DOMAIN_DELETE] = "DELETE FROM domains WHERE name = ?1",
    [SQL_USER] = "SELECT " USER_COLUMNS " FROM users WHERE address = ?1",
    [SQL_USER_BY_ID] = "SELECT " USER_COLUMNS " FROM users WHERE id = ?1",
    [SQL_USER_OLDEST] =
        "SELECT " USER_COLUMNS " FROM users WHERE ?1 IS NOT NULL ORDER BY num LIMIT 1",
    [SQL_USERS] = "SELECT " USER_COLUMNS " FROM users WHERE ?1 = '' OR domain = ?1"
                  " ORDER BY domain, address",
    [SQL_USER_INSERT] =
        "INSERT INTO users(id, address, domain, services, quota_bytes, quota_messages,"
        " created_s, hash, imported, scram_stored_key, scram_server_key, scram_iterations,"
        " scram_salt) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
    [SQL_USER_SET] = "UPDATE users SET services = ?2, disabled = ?3, quota_bytes = ?4,"
                     " quota_messages = ?5 WHERE id = ?1",
    /* ?8 to ?11 as bind_hash has them */
    [SQL_USER_PASSWORD] = "UPDATE users SET hash = ?8, imported = ?9, scram_stored_key = ?10,"
                          " scram_server_key = ?11 WHERE id = ?1",
    [SQL_USER_UPGRADE] = "UPDATE users SET hash = ?8, imported = ?9, scram_stored_key = ?10,"
                         " scram_server_key = ?11 WHERE id = ?1 AND hash = ?2",
    [SQL_USER_DELETE] = "DELETE FROM users WHERE id = ?1",
    [SQL_ALIAS_TARGETS] = "SELECT target FROM aliases WHERE alias = ?1 ORDER BY target",
    [SQL_ALIASES] = "SELECT alias, target FROM aliases ORDER BY domain, alias, target",
    [SQL_ALIAS_INSERT] = "INSERT INTO aliases(alias, target, domain) VALUES(?1, ?2, ?3)",
    [SQL_ALIAS_DELETE] = "DELETE FROM aliases WHERE alias = ?1 AND (?2 = '' OR target = ?2)",
    [SQL_ALIAS_DELETE_DANGLING] =
        "DELETE FROM aliases WHERE target NOT IN (WITH RECURSIVE leads(name) AS (SELECT address"
        " FROM users UNION SELECT alias FROM aliases JOIN leads ON target = name)"
        " SELECT name FROM leads)",
    [SQL_APP_PASSWORDS] = "SELECT id, services, expires_s, networks, hash, scram_keys"
                          " FROM app_passwords WHERE user = ?1",
    [SQL_APP_PASSWORD_COUNT] = "SELECT count(*) FROM app_passwords WHERE user = ?1",
    [SQL_APP_PASSWORD_INSERT] =
        "INSERT INTO app_passwords(id, user, name, services, created_s, expires_s, networks, hash,"
        " scram_keys) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    [SQL_APP_PASSWORD_ID] = "SELECT id FROM app_passwords WHERE user = ?1 AND name = ?2",
    [SQL_APP_PASSWORD_EXISTS] = "SELECT 1 FROM app_passwords WHERE id = ?1",
    [SQL_APP_PASSWORD_DELETE] = "DELETE FROM app_passwords WHERE id = ?1",
    [SQL_DEVICES] = "SELECT id, name, services, created_s, expires_s, networks"
                    " FROM app_passwords WHERE user = ?1 ORDER BY name",
    [SQL_DEVICE_USES] =
        "SELECT device, service, last_s, address, retrieved FROM device_uses WHERE user = ?1",
    /* nothing is kept of users and devices that went meanwhile */
    [SQL_DEVICE_USE_ADD] =
        "INSERT INTO device_uses(user, device, service, last_s, address, retrieved)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS(SELECT 1 FROM users WHERE id = ?1)"
        " AND (?2 = 0 OR EXISTS(SELECT 1 FROM app_passwords WHERE id = ?2 AND user = ?1))"
        " ON CONFLICT(user, device, service) DO UPDATE SET last_s = excluded.last_s,"
        " address = excluded.address, retrieved = retrieved + excluded.retrieved",
    [SQL_DEVICE_USES_DELETE] = "DELETE FROM device_uses WHERE user = ?1 AND device = ?2",
    [SQL_POP_POLICY] = "SELECT since_ms, settings, device FROM pop_policies"
                       " WHERE user = ?1 AND device IN (0, ?2) ORDER BY device <> ?2 LIMIT 1",
    [SQL_POP_POLICY_SET] =
        "INSERT INTO pop_policies SELECT ?1, ?2, ?3, ?4 WHERE EXISTS(SELECT 1 FROM users WHERE id "
        "= ?1)"
        " AND (?2 = 0 OR EXISTS(SELECT 1 FROM app_passwords WHERE id = ?2 AND user = ?1))"
        " ON CONFLICT DO UPDATE SET since_ms = excluded.since_ms, settings = excluded.settings",
    /* a folder may be called like that too: who asks reads the policies */
    [SQL_POP_POLICY_USERS] = "SELECT DISTINCT user FROM pop_policies"
                             " WHERE settings GLOB '*after=[1-9]*' ORDER BY user",
    [SQL_POP_POLICY_DELETE] = "DELETE FROM pop_policies WHERE user = ?1 AND device = ?2",
    [SQL_POP_POLICY_CLEAR] =
        "UPDATE pop_policies SET settings = '' WHERE user = ?1 AND device = ?2",
    [SQL_POP_POLICY_SINCE] = "INSERT INTO pop_policies SELECT id, 0, ?2, '' FROM users WHERE id = "
                             "?1 AND (services & 2) = 0"
                             " ON CONFLICT DO UPDATE SET since_ms = excluded.since_ms",
    /* for devices too: before the users' row says that it is on */
    [SQL_POP_POLICY_SINCE_DEVICES] =
        "UPDATE pop_policies SET since_ms = ?2 WHERE user = ?1 AND device <> 0"
        " AND EXISTS(SELECT 1 FROM users WHERE id = ?1 AND (services & 2) = 0)",
    [SQL_META] = "SELECT value FROM meta WHERE name = ?1",
};

/* The server and the command line are there at once. A name or a device that is there already is what a caller may try. */
static const struct sql_options options = {
    .texts = sql_texts, .count = SQL_COUNT, .sharing = SQL_SHARED, .constraint = ERR_EXISTS
};

/* ---- transactions ---- */

enum err directory_write_begin(struct directory *directory)
{
    pthread_mutex_lock(&directory->writer.lock);
    enum err e = sql_begin_write(&directory->writer.sql);
    if (e)
        pthread_mutex_unlock(&directory->writer.lock);
    return e;
}

enum err directory_write_end(struct directory *directory, enum err e)
{
    e = sql_end(&directory->writer.sql, e);
    pthread_mutex_unlock(&directory->writer.lock);
    return e;
}

enum err directory_read_begin(struct directory *directory)
{
    pthread_mutex_lock(&directory->reader.lock);
    enum err e = sql_begin(&directory->reader.sql);
    if (e)
        pthread_mutex_unlock(&directory->reader.lock);
    return e;
}

void directory_read_end(struct directory *directory)
{
    (void)!sql_end(&directory->reader.sql, ERR_OK);
    pthread_mutex_unlock(&directory->reader.lock);
}

/* ---- opening ---- */

static enum err link_open(struct directory_link *link, const char *file)
{
    TRY(sql_open(&link->sql, file, &options));
    return sql_exec(&link->sql, "PRAGMA foreign_keys=ON");
}

static struct directory *directory_new(void)
{
    struct directory *directory = mem_zalloc(1, sizeof *directory);
    pthread_mutex_init(&directory->reader.lock, NULL);
    pthread_mutex_init(&directory->writer.lock, NULL);
    return directory;
}

static void link_close(struct directory_link *link)
{
    sql_close(&link->sql);
    pthread_mutex_destroy(&link->lock);
}

/* An empty file for the owner only. SQLite gives its companions the same mode and, as root, the same owner; so a file
 * that root makes is given to whoever owns the folder, which is the user the server runs as. */
static enum err file_make(const char *file, struct err_note *note)
{
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? ERR_OK
                               : err_noted(note, err_from_errno(errno), "%s cannot be made: %s",
                                     file, strerror(errno));
    char folder[PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof folder, "%s", file);
    if (geteuid() == 0 && stat(dirname(folder), &st) == 0 &&
        fchown(fd, st.st_uid, st.st_gid) != 0) {
        enum err e = err_noted(note, err_from_errno(errno),
            "%s cannot be given to the folder's owner: %s", file, strerror(errno));
        close(fd);
        return e;
    }
    close(fd);
    return ERR_OK;
}

static enum err read_name_key(struct directory *directory)
{
    struct sql_db *sql = &directory->reader.sql;
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(sql, SQL_META, &statement));
    sql_bind_text(statement, 1, SLICE("name_key"));
    TRY(sql_step(sql, statement, &row));
    struct slice key = row ? sql_bytes(statement, 0) : SLICE_EMPTY;
    bool whole = key.len == sizeof directory->name_key;
    if (whole)
        memcpy(directory->name_key, key.ptr, key.len);
    sql_reset(statement);
    return whole ? ERR_OK : ERR_CORRUPT;
}

static enum err open_links(struct directory *directory, const char *file, struct err_note *note)
{
    enum err e = link_open(&directory->writer, file);
    if (e)
        return err_noted(
            note, e, "%s cannot be opened: %s", file, sql_words(&directory->writer.sql));
    TRY(sql_bring(&directory->writer.sql, file, &format, note));
    e = link_open(&directory->reader, file);
    if (e)
        return err_noted(
            note, e, "%s cannot be opened: %s", file, sql_words(&directory->reader.sql));
    return read_name_key(directory) ? err_noted(note, ERR_CORRUPT, "%s lacks its key", file)
                                    : ERR_OK;
}

enum err directory_open(
    const char *file, bool create, struct directory **out_directory, struct err_note *note)
{
    if (create)
        TRY(file_make(file, note));
    else if (access(file, F_OK) != 0)
        return err_noted(
            note, err_from_errno(errno), "%s cannot be opened: %s", file, strerror(errno));
    struct directory *directory = directory_new();
    enum err e = open_links(directory, file, note);
    if (e)
        directory_close(directory);
    else
        *out_directory = directory;
    return e;
}

static enum err copy_pages(struct sql_db *from, struct sql_db *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!backup)
        return sql_err(to, sqlite3_extended_errcode(to->db));
    (void)sqlite3_backup_step(backup, -1);
    return sql_err(to, sqlite3_backup_finish(backup));
}

/* A database of an earlier format, in memory and in today's. *sql is replaced. */
static enum err copy_to_memory(struct sql_db *sql)
{
    struct sql_db fresh;
    enum err e =
        sql_attach(&fresh, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL, &options);
    if (!e)
        e = sql_settle(&fresh);
    if (!e)
        e = copy_pages(sql, &fresh);
    if (!e)
        e = sql_bring(&fresh, "the copy", &format, NULL);
    if (e) {
        sql_close(&fresh);
        return e;
    }
    sql_close(sql);
    *sql = fresh;
    return ERR_OK;
}

static enum err open_there(struct sql_db *sql, int folder_fd)
{
    char path[64];
    int64_t version;
    (void)snprintf(path, sizeof path, "file:/proc/self/fd/%d/directory.db?immutable=1", folder_fd);
    TRY(sql_attach(sql, path, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL, &options));
    TRY(sql_settle(sql));
    TRY(sql_ask(sql, "PRAGMA user_version", &version));
    if (version < 1 || version > format.version)
        return version < 1 ? ERR_CORRUPT : ERR_DENIED;
    return version < format.version ? copy_to_memory(sql) : ERR_OK;
}

enum err directory_open_copy(int folder_fd, struct directory **out_copy)
{
    struct directory *copy = directory_new();
    enum err e = open_there(&copy->reader.sql, folder_fd);
    if (e)
        directory_close(copy);
    else
        *out_copy = copy;
    return e;
}

void directory_close(struct directory *directory)
{
    if (!directory)
        return;
    link_close(&directory->reader);
    link_close(&directory->writer);
    explicit_bzero(directory->name_key, sizeof directory->name_key);
    free(directory);
}

uint64_t directory_version(struct directory *directory)
{
    /* the reader writes nothing, so data_version counts everybody's commits, our writer's too */
    struct directory_link *link = &directory->reader;
    int64_t version = 0;
    sqlite3_stmt *statement;
    pthread_mutex_lock(&link->lock);
    enum err e = sql_get(&link->sql, SQL_VERSION, &statement);
    if (!e)
        e = sql_number(&link->sql, statement, &version, NULL);
    pthread_mutex_unlock(&link->lock);
    return e ? 0 : (uint64_t)version;
}

/* ---- domains ---- */

enum err directory_find_domain(struct directory_link *link, struct slice domain)
{
    sqlite3_stmt *statement;
    bool there = false;
    TRY(sql_get(&link->sql, SQL_DOMAIN, &statement));
    sql_bind_text(statement, 1, domain);
    TRY(sql_has(&link->sql, statement, &there));
    return there ? ERR_OK : ERR_NOT_FOUND;
}

static enum err domain_change(
    struct directory *directory, enum directory_sql sql, struct slice domain)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&directory->writer.sql, sql, &statement));
    sql_bind_text(statement, 1, domain);
    return sql_done(&directory->writer.sql, statement);
}

enum err directory_domain_add(
    struct directory *directory, struct slice domain, struct err_note *note)
{
    char name[USER_NAME_BYTES_MAX + 1];
    enum err e = domain_canonical(domain, name);
    if (e)
        return err_noted(note, e, "%s is not a domain name", LOG_S(domain));
    e = directory_write_begin(directory);
    if (!e)
        e = directory_write_end(
            directory, domain_change(directory, SQL_DOMAIN_INSERT, slice_of(name)));
    if (e == ERR_EXISTS)
        return err_noted(note, e, "the domain %s is there already", name);
    return e ? err_noted(note, e, "the domain %s could not be stored: %s", name, err_words(e))
             : ERR_OK;
}

enum err directory_domain_remove(
    struct directory *directory, struct slice domain, struct err_note *note)
{
    char name[USER_NAME_BYTES_MAX + 1];
    enum err e = domain_canonical(domain, name);
    if (e)
        return err_noted(note, e, "%s is not a domain name", LOG_S(domain));
    e = directory_write_begin(directory);
    if (!e) {
        sqlite3_stmt *statement;
        bool used = false;
        e = directory_find_domain(&directory->writer, slice_of(name));
        if (!e)
            e = sql_get(&directory->writer.sql, SQL_DOMAIN_IN_USE, &statement);
        if (!e) {
            sql_bind_text(statement, 1, slice_of(name));
            e = sql_has(&directory->writer.sql, statement, &used);
        }
        if (!e)
            e = used ? ERR_BUSY : domain_change(directory, SQL_DOMAIN_DELETE, slice_of(name));
        e = directory_write_end(directory, e);
    }
    if (e == ERR_NOT_FOUND)
        return err_noted(note, e, "there is no domain %s", name);
    if (e == ERR_BUSY)
        return err_noted(note, e, "users or aliases are in %s; remove them first", name);
    return e ? err_noted(note, e, "the domain %s could not be removed: %s", name, err_words(e))
             : ERR_OK;
}

enum err directory_domains(
    struct directory *directory, struct arena *arena, struct slice **out_list, size_t *out_count)
{
    struct directory_link *link = &directory->reader;
    struct slice *list = NULL;
    size_t count = 0, cap = 0;
    sqlite3_stmt *statement = NULL;
    bool row;
    pthread_mutex_lock(&link->lock);
    enum err e = sql_get(&link->sql, SQL_DOMAINS, &statement);
    while (!e && !(e = sql_step(&link->sql, statement, &row)) && row) {
        list = arena_grow(arena, list, &cap, count + 1, sizeof *list);
        struct slice name = list ? slice_dup(arena, sql_text(statement, 0)) : (struct slice){ 0 };
        if (!name.ptr)
            e = ERR_LIMIT;
        else
            list[count++] = name;
    }
    sql_reset(statement);
    pthread_mutex_unlock(&link->lock);
    if (e)
        return e;
    *out_list = list;
    *out_count = count;
    return ERR_OK;
}

bool directory_domain_is_local(struct directory *directory, struct slice domain)
{
    char name[USER_NAME_BYTES_MAX + 1];
    if (domain_canonical(domain, name))
        return false;
    pthread_mutex_lock(&directory->reader.lock);
    enum err e = directory_find_domain(&directory->reader, slice_of(name));
    pthread_mutex_unlock(&directory->reader.lock);
    return e == ERR_OK;
}

enum err directory_sole_domain(struct directory *directory, char *out)
{
    struct directory_link *link = &directory->reader;
    sqlite3_stmt *statement = NULL;
    size_t count = 0;
    bool row = true;
    char name[USER_NAME_BYTES_MAX + 1] = "";
    pthread_mutex_lock(&link->lock);
    enum err e = sql_get(&link->sql, SQL_DOMAINS, &statement);
    while (!e && count < 2 && !(e = sql_step(&link->sql, statement, &row)) && row) {
        struct slice text = sql_text(statement, 0);
        snprintf(name, sizeof name, "%.*s", SLICE_FMT(text));
        count++;
    }
    sql_reset(statement);
    pthread_mutex_unlock(&link->lock);
    if (!e && count == 1)
        memcpy(out, name, sizeof name);
    return e ? e : count == 1 ? ERR_OK : ERR_NOT_FOUND;
}
