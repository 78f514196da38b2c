//! What the operator and a node say to each other.
