//! Hostile roles, objects and input: nobody reads or writes more than the manual allows.

mod doors;
mod doors_catalog;
mod hidden;
mod hostile;
mod matrix;
mod others;
mod secrets;
