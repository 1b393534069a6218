/* A small XML document as a tree, from bytes of a stranger: libexpat, without document types and so without entities. Pure. */
#ifndef DISCOVER_XML_H
#define DISCOVER_XML_H

#include "base/limits.h"
#include "discover/discover.h"

struct xml_node {
    struct slice name; /* without a namespace's prefix */
    struct slice text; /* its own, blanks at both ends taken off */
    struct xml_attribute *attributes;
    struct xml_node *parent, *first, *last, *next;
};

/* DISCOVER_FOUND; DISCOVER_GARBAGE: not XML, or deeper, larger than the limits; DISCOVER_ENTITIES: it has a document type;
 * DISCOVER_TOO_BIG: the arena. All of the tree is in the arena. */
enum discover_why xml_read(struct slice bytes, struct arena *arena, struct xml_node **out_root);

/* The first child of that name, the next sibling of the same name; NULL. parent may be NULL. */
const struct xml_node *xml_child(const struct xml_node *parent, const char *name);
const struct xml_node *xml_next(const struct xml_node *node);
/* Text of the first child of that name; empty when there is none. */
struct slice xml_text(const struct xml_node *parent, const char *name);
struct slice xml_attribute(const struct xml_node *node, const char *name);

#endif
