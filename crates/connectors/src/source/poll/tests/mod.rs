//! The source against an imitation of a weather API, and against servers that misbehave. None of it is the real API: the shape of
//! its answers is that of a recorded one of OpenWeatherMap.

mod changes;
mod contract;
mod hostile;
mod resume;
mod settings;
mod times;
mod world;
