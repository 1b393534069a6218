/* directory.db: opening, schema, statements, domains.
 *
 *     D-1  Every address and domain in the file is canonical (address.c), so that equality is equality of bytes.
 *     D-2  A user's id is 128 random bits and stays with one user for ever; `num` gives the order of creation.
 *     D-3  A name is a user or an alias, never both; a target of an alias is one of them at any commit.
 *     D-4  An acknowledged change is on the disk: synchronous=FULL.
 *     D-5  The salt and the number of iterations for SCRAM are a user's: there from the beginning, the same for all its passwords, and never
 *          changed, so that one challenge serves them all and a new main password leaves the app passwords right.
 *     D-6  A device's id is 53 random bits and means one app password for ever; 0 is the main password.
 *
 * The schema's number is user_version; each step of `migrations` brings the file one further, in one transaction each. */
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

#define APPLICATION_ID  0x42726469 /* "Brdi" */
#define BUSY_TIMEOUT_MS 5000

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
#define SCHEMA_VERSION ((int)(sizeof migrations / sizeof *migrations))

#define USER_COLUMNS                                                                               \
    "id, address, services, disabled, quota_bytes, quota_messages, created_s, hash, imported, "    \
    "scram_iterations, scram_salt, scram_stored_key, scram_server_key"

static const char *const sql_texts[SQL_COUNT] = {
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
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
        "DELETE FROM aliases WHERE NOT EXISTS(SELECT 1 FROM users WHERE address = target)"
        " AND NOT EXISTS(SELECT 1 FROM aliases AS other WHERE other.alias = aliases.target)",
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

/* ---- statements ---- */

enum err directory_sql_err(sqlite3 *db, int rc)
{
    switch (rc & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return ERR_EXISTS;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_CANTOPEN:
        return db && sqlite3_system_errno(db) ? err_from_errno(sqlite3_system_errno(db)) : ERR_IO;
    default:
        return ERR_IO;
    }
}

enum err directory_statement(
    struct directory_link *link, enum directory_sql sql, sqlite3_stmt **out_statement)
{
    sqlite3_stmt **slot = &link->statements[sql];
    if (!*slot) {
        int rc =
            sqlite3_prepare_v3(link->db, sql_texts[sql], -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
        if (rc != SQLITE_OK)
            return directory_sql_err(link->db, rc);
    }
    sqlite3_clear_bindings(*slot);
    *out_statement = *slot;
    return ERR_OK;
}

void directory_bind_text(sqlite3_stmt *statement, int index, struct slice text)
{
    /* the caller's bytes outlive the step: reset comes before they go */
    sqlite3_bind_text(statement, index, text.ptr ? text.ptr : "", (int)text.len, SQLITE_STATIC);
}

struct slice directory_column_text(sqlite3_stmt *statement, int index)
{
    const unsigned char *text = sqlite3_column_text(statement, index);
    return slice_from(
        text ? (const char *)text : "", (size_t)sqlite3_column_bytes(statement, index));
}

enum err directory_step_done(struct directory_link *link, sqlite3_stmt *statement, bool *out_row)
{
    int rc = sqlite3_step(statement);
    enum err e = directory_sql_err(link->db, rc);
    sqlite3_reset(statement);
    if (!e && out_row)
        *out_row = rc == SQLITE_ROW;
    return e;
}

enum err directory_run(struct directory_link *link, enum directory_sql sql)
{
    sqlite3_stmt *statement;
    TRY(directory_statement(link, sql, &statement));
    return directory_step_done(link, statement, NULL);
}

enum err directory_write_begin(struct directory *directory)
{
    pthread_mutex_lock(&directory->writer.lock);
    enum err e = directory_run(&directory->writer, SQL_BEGIN_WRITE);
    if (e)
        pthread_mutex_unlock(&directory->writer.lock);
    return e;
}

enum err directory_write_end(struct directory *directory, enum err e)
{
    if (!e)
        e = directory_run(&directory->writer, SQL_COMMIT);
    if (e && !sqlite3_get_autocommit(directory->writer.db))
        (void)!directory_run(&directory->writer, SQL_ROLLBACK);
    pthread_mutex_unlock(&directory->writer.lock);
    return e;
}

enum err directory_read_begin(struct directory *directory)
{
    pthread_mutex_lock(&directory->reader.lock);
    enum err e = directory_run(&directory->reader, SQL_BEGIN_READ);
    if (e)
        pthread_mutex_unlock(&directory->reader.lock);
    return e;
}

void directory_read_end(struct directory *directory)
{
    (void)!directory_run(&directory->reader, SQL_COMMIT);
    pthread_mutex_unlock(&directory->reader.lock);
}

/* ---- opening ---- */

static enum err pragma_int(sqlite3 *db, const char *text, int *out_value)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW)
            *out_value = sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    return directory_sql_err(db, rc);
}

static enum err link_open(struct directory_link *link, const char *file)
{
    pthread_mutex_init(&link->lock, NULL);
    int rc = sqlite3_open_v2(file, &link->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(link->db, BUSY_TIMEOUT_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(link->db,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
            /* a confined server can make no temporary files */
            "PRAGMA temp_store=MEMORY",
            NULL, NULL, NULL);
    return directory_sql_err(link->db, rc);
}

static void link_close(struct directory_link *link)
{
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(link->statements[i]);
    sqlite3_close(link->db);
    pthread_mutex_destroy(&link->lock);
}

/* One step in its transaction; another process may have taken it meanwhile. */
static enum err migrate_step(sqlite3 *db, const char *file, int *out_version, struct err_note *note)
{
    int version = 0;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    enum err e = directory_sql_err(db, rc);
    if (!e)
        e = pragma_int(db, "PRAGMA user_version", &version);
    if (!e && version < SCHEMA_VERSION) {
        char mark[96];
        snprintf(mark, sizeof mark, "PRAGMA user_version = %d; PRAGMA application_id = %d",
            version + 1, APPLICATION_ID);
        e = directory_sql_err(db, sqlite3_exec(db, migrations[version], NULL, NULL, NULL));
        if (!e)
            e = directory_sql_err(db, sqlite3_exec(db, mark, NULL, NULL, NULL));
        version++;
    }
    if (!e)
        e = directory_sql_err(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    if (!e) {
        *out_version = version;
        return ERR_OK;
    }
    e = err_noted(note, e, "%s cannot be prepared: %s", file, sqlite3_errmsg(db));
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

static enum err migrate(sqlite3 *db, const char *file, struct err_note *note)
{
    int version = 0, application = 0;
    enum err e = pragma_int(db, "PRAGMA user_version", &version);
    if (!e)
        e = pragma_int(db, "PRAGMA application_id", &application);
    if (e)
        return err_noted(note, e, "%s cannot be read: %s", file, sqlite3_errmsg(db));
    if (version > SCHEMA_VERSION)
        return err_noted(note, ERR_DENIED,
            "%s was written by a newer Barid (format %d; this one knows %d)", file, version,
            SCHEMA_VERSION);
    if (version > 0 && application != APPLICATION_ID)
        return err_noted(note, ERR_CORRUPT, "%s is a database of another program", file);
    while (version < SCHEMA_VERSION) {
        TRY(migrate_step(db, file, &version, note));
    }
    return ERR_OK;
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
    sqlite3_stmt *statement;
    TRY(directory_statement(&directory->reader, SQL_META, &statement));
    directory_bind_text(statement, 1, SLICE("name_key"));
    int rc = sqlite3_step(statement);
    enum err e = directory_sql_err(directory->reader.db, rc);
    if (!e &&
        (rc != SQLITE_ROW || sqlite3_column_bytes(statement, 0) != (int)sizeof directory->name_key))
        e = ERR_CORRUPT;
    if (!e)
        memcpy(directory->name_key, sqlite3_column_blob(statement, 0), sizeof directory->name_key);
    sqlite3_reset(statement);
    return e;
}

enum err directory_open(
    const char *file, bool create, struct directory **out_directory, struct err_note *note)
{
    if (create)
        TRY(file_make(file, note));
    else if (access(file, F_OK) != 0)
        return err_noted(
            note, err_from_errno(errno), "%s cannot be opened: %s", file, strerror(errno));
    struct directory *directory = mem_zalloc(1, sizeof *directory);
    enum err e = link_open(&directory->writer, file);
    if (e)
        err_noted(note, e, "%s cannot be opened: %s", file, sqlite3_errmsg(directory->writer.db));
    else
        e = migrate(directory->writer.db, file, note);
    enum err reader = link_open(&directory->reader, file);
    if (!e && reader)
        e = err_noted(
            note, reader, "%s cannot be opened: %s", file, sqlite3_errmsg(directory->reader.db));
    if (!e && read_name_key(directory))
        e = err_noted(note, ERR_CORRUPT, "%s lacks its key", file);
    if (e) {
        directory_close(directory);
        return e;
    }
    *out_directory = directory;
    return ERR_OK;
}

/* A database of an earlier format, in memory and in today's. *db is replaced. */
static enum err copy_to_memory(sqlite3 **db)
{
    sqlite3 *fresh = NULL;
    int rc = sqlite3_open_v2(
        ":memory:", &fresh, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_backup *backup =
        rc == SQLITE_OK ? sqlite3_backup_init(fresh, "main", *db, "main") : NULL;
    if (backup) {
        (void)sqlite3_backup_step(backup, -1);
        rc = sqlite3_backup_finish(backup);
    } else if (rc == SQLITE_OK) {
        rc = sqlite3_errcode(fresh);
    }
    enum err e = directory_sql_err(fresh, rc);
    if (!e)
        e = migrate(fresh, "the copy", NULL);
    if (e) {
        sqlite3_close(fresh);
        return e;
    }
    sqlite3_close(*db);
    *db = fresh;
    return ERR_OK;
}

enum err directory_open_copy(int folder_fd, struct directory **out_copy)
{
    char path[64];
    (void)snprintf(path, sizeof path, "file:/proc/self/fd/%d/directory.db?immutable=1", folder_fd);
    struct directory *copy = mem_zalloc(1, sizeof *copy);
    pthread_mutex_init(&copy->reader.lock, NULL);
    pthread_mutex_init(&copy->writer.lock, NULL);
    int version = 0;
    enum err e = directory_sql_err(
        NULL, sqlite3_open_v2(path, &copy->reader.db,
                  SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL));
    if (!e)
        e = pragma_int(copy->reader.db, "PRAGMA user_version", &version);
    if (!e && (version > SCHEMA_VERSION || version < 1))
        e = version < 1 ? ERR_CORRUPT : ERR_DENIED;
    if (!e && version < SCHEMA_VERSION)
        e = copy_to_memory(&copy->reader.db);
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
    uint64_t version = 0;
    sqlite3_stmt *statement;
    pthread_mutex_lock(&link->lock);
    if (!directory_statement(link, SQL_VERSION, &statement)) {
        if (sqlite3_step(statement) == SQLITE_ROW)
            version = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    pthread_mutex_unlock(&link->lock);
    return version;
}

/* ---- domains ---- */

enum err directory_find_domain(struct directory_link *link, struct slice domain)
{
    sqlite3_stmt *statement;
    bool there = false;
    TRY(directory_statement(link, SQL_DOMAIN, &statement));
    directory_bind_text(statement, 1, domain);
    TRY(directory_step_done(link, statement, &there));
    return there ? ERR_OK : ERR_NOT_FOUND;
}

static enum err domain_change(
    struct directory *directory, enum directory_sql sql, struct slice domain)
{
    sqlite3_stmt *statement;
    TRY(directory_statement(&directory->writer, sql, &statement));
    directory_bind_text(statement, 1, domain);
    return directory_step_done(&directory->writer, statement, NULL);
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
            e = directory_statement(&directory->writer, SQL_DOMAIN_IN_USE, &statement);
        if (!e) {
            directory_bind_text(statement, 1, slice_of(name));
            e = directory_step_done(&directory->writer, statement, &used);
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
    sqlite3_stmt *statement;
    pthread_mutex_lock(&link->lock);
    enum err e = directory_statement(link, SQL_DOMAINS, &statement);
    int rc = SQLITE_DONE;
    while (!e && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        list = arena_grow(arena, list, &cap, count + 1, sizeof *list);
        struct slice name =
            list ? slice_dup(arena, directory_column_text(statement, 0)) : (struct slice){ 0 };
        if (!name.ptr)
            e = ERR_LIMIT;
        else
            list[count++] = name;
    }
    if (!e)
        e = directory_sql_err(link->db, rc);
    sqlite3_reset(link->statements[SQL_DOMAINS]);
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
    sqlite3_stmt *statement;
    size_t count = 0;
    char name[USER_NAME_BYTES_MAX + 1] = "";
    pthread_mutex_lock(&link->lock);
    enum err e = directory_statement(link, SQL_DOMAINS, &statement);
    if (!e) {
        while (count < 2 && sqlite3_step(statement) == SQLITE_ROW) {
            struct slice text = directory_column_text(statement, 0);
            snprintf(name, sizeof name, "%.*s", SLICE_FMT(text));
            count++;
        }
        sqlite3_reset(statement);
    }
    pthread_mutex_unlock(&link->lock);
    if (!e && count == 1)
        memcpy(out, name, sizeof name);
    return e ? e : count == 1 ? ERR_OK : ERR_NOT_FOUND;
}
