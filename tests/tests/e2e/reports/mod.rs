//! Report functions against figures that plain SQL gives.

mod activity;
mod breakdowns;
mod counts;
mod cuts;
mod every_report;
mod experiment_oracle;
mod experiments;
mod filters;
mod flights;
mod funnels;
mod hostile;
mod marks;
mod memory;
mod partitions;
mod product;
mod retention;
mod zones;
