//! Pictures inside of the page: each of them once, as the background of a class.

use std::{collections::HashMap, fmt::Write as _};

use serde::Serialize;

use crate::{content::media::Upload, limits, text};

/// A picture on the page, or what stands for one.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shot {
    /// Class that holds the picture.
    pub(super) class: Option<String>,
    /// The part of it that is shown, as declarations; all of it, cut to fit, without them.
    pub(super) crop: String,
    /// What it is, in words.
    pub(super) words: String,
    /// The id that stands for a picture that is not here.
    pub(super) id: Option<String>,
    /// Width and height.
    pub(super) size: (u32, u32),
}

/// The pictures of the page.
pub(super) struct Pictures {
    /// Each by its digest, with its number: none if there was no room for it.
    known: HashMap<String, Option<usize>>,
    css: String,
    /// Bytes that the page may still have of pictures.
    room: usize,
    /// How often one was left out for want of room.
    left_out: usize,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { known: HashMap::new(), css: String::new(), room: limits::PAGE_PICTURES_BYTES_MAX, left_out: 0 }
    }
}

impl Pictures {
    /// A picture of the project.
    pub(super) fn shot(&mut self, upload: &Upload) -> Shot {
        let number = match self.known.get(&upload.sha256) {
            Some(known) => *known,
            None => {
                let number = self.data_uri(upload).map(|address| {
                    let number = self.known.len() + 1;
                    let _ = writeln!(self.css, ".picture-{number}{{background-image:url(\"{address}\")}}");
                    number
                });
                self.known.insert(upload.sha256.clone(), number);
                number
            }
        };
        let size = crate::content::media::dimensions(&upload.bytes).unwrap_or((1, 1));
        let class = number.map(|number| format!("picture-{number}"));
        Shot { class, crop: String::new(), words: upload.path.clone(), id: None, size }
    }

    /// The address of a picture in the HTML of an article, which holds it each time; an empty one of its size if there is no room.
    pub(super) fn inside(&mut self, upload: &Upload) -> String {
        self.data_uri(upload).unwrap_or_else(|| {
            let (width, height) = crate::content::media::dimensions(&upload.bytes).unwrap_or((1, 1));
            let size = format!("width='{width}' height='{height}'");
            format!("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' {size}/%3E")
        })
    }

    /// A file as an address that holds it; none if it is one too many.
    fn data_uri(&mut self, upload: &Upload) -> Option<String> {
        let head = format!("data:{};base64,", upload.content_type);
        let bytes = head.len() + upload.bytes.len().div_ceil(3) * 4;
        match self.room.checked_sub(bytes) {
            Some(left) => {
                self.room = left;
                Some(format!("{head}{}", text::base64(&upload.bytes)))
            }
            None => {
                self.left_out += 1;
                None
            }
        }
    }

    /// How often a picture was left out for want of room.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Rules of the classes. They hold our own words and base64, and nothing of a user.
    pub(super) fn into_css(self) -> String {
        self.css
    }
}

impl Shot {
    /// Stands for a picture that only WeChat has.
    pub(super) fn elsewhere(id: &str) -> Self {
        Self { class: None, crop: String::new(), words: id.to_owned(), id: Some(id.to_owned()), size: (1, 1) }
    }

    /// Shows only a part: `X1_Y1_X2_Y2` of 0 to 1.
    pub(super) fn cropped(mut self, crop: Option<&str>) -> Self {
        let numbers: Vec<f64> = crop.unwrap_or_default().split('_').filter_map(|part| part.parse().ok()).collect();
        if let [x1, y1, x2, y2] = numbers[..]
            && x1 < x2
            && y1 < y2
        {
            let (width, height) = (x2 - x1, y2 - y1);
            let at = |from: f64, part: f64| if part < 1.0 { 100.0 * from / (1.0 - part) } else { 0.0 };
            self.crop = format!(
                "background-size:{:.2}% {:.2}%;background-position:{:.2}% {:.2}%",
                100.0 / width,
                100.0 / height,
                at(x1, width),
                at(y1, height)
            );
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_are_parts_of_the_background() {
        let crop = |text| Shot::elsewhere("m").cropped(text).crop;
        assert_eq!(crop(Some("0_0_1_1")), "background-size:100.00% 100.00%;background-position:0.00% 0.00%");
        assert_eq!(crop(Some("0.5_0_1_0.5")), "background-size:200.00% 200.00%;background-position:100.00% 0.00%");
        assert_eq!(crop(None), "");
        assert_eq!(crop(Some("x;y")), "");
    }
}
