//! Dates as playlists write them.

use crate::time::UnixMs;

const DAY_MS: i64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z: RFC 3339 has four digits for the year.
const LAST_MS: i64 = 253_402_300_799_999;

/// RFC 3339 in UTC with milliseconds; times outside the years 1970 to 9999 show the nearest end.
#[must_use]
pub fn rfc3339(time: UnixMs) -> String {
    let ms = time.0.clamp(0, LAST_MS);
    let (year, month, day) = civil_date(ms / DAY_MS);
    let of_day = ms % DAY_MS;
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The Gregorian date of a day counted from 1970-01-01. Years are taken to begin in March, so
/// that the leap day is their last and months follow one formula: 153 days are five months.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097; // 400 years
    const TO_MARCH_OF_YEAR_0: i64 = 719_468;
    let shifted = days + TO_MARCH_OF_YEAR_0;
    let (era, day_of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_251_200_001, "2024-03-01T00:00:00.001Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(UnixMs(ms)), text);
        }
    }

    #[test]
    fn days_follow_one_another() {
        let mut last = civil_date(0);
        for day in 1..200_000 {
            let (year, month, date) = civil_date(day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            match (date, month) {
                (1, 1) => assert_eq!(last, (year - 1, 12, 31)),
                (1, 3) => assert_eq!(last, (year, 2, if leap { 29 } else { 28 })),
                (1, 5 | 7 | 10 | 12) => assert_eq!(last, (year, month - 1, 30)),
                (1, _) => assert_eq!(last, (year, month - 1, 31)),
                _ => assert_eq!(last, (year, month, date - 1)),
            }
            last = (year, month, date);
        }
    }
}
