//! Pictures that WeChat would refuse, made such that it takes them: only where a plan says `optimize: true`. The same bytes
//! in give the same bytes out.

use std::io::Cursor;

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png},
    metadata::Orientation,
};

use super::sniff::{content_type, dimensions};
use crate::limits;

/// Widths that are tried after the picture's own; a phone shows an article 1,080 pixels wide.
const WIDTHS: &[u32] = &[1440, 1080, 720];
/// Qualities of JPEG that are tried for each width.
const QUALITIES: &[u8] = &[85, 75, 60];

/// Why a picture is not looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// It has too many pixels: its width and height.
    Pixels(u32, u32),
    /// With it, the pictures of the plan are too much work.
    Work,
}

/// A picture in new bytes, and what was done with it, in words; none if it cannot be read, or never fits. Its pixels are
/// counted before any of them is read. `work` is what is left of [`limits::OPTIMIZE_WORK_MAX`].
pub(super) fn fit(
    bytes: &[u8],
    types: &[&str],
    most: u64,
    work: &mut u64,
) -> Result<Option<(Vec<u8>, String)>, TooMuch> {
    let format = match content_type(bytes) {
        Some("image/png") => ImageFormat::Png,
        Some("image/jpeg") => ImageFormat::Jpeg,
        Some("image/webp") => ImageFormat::WebP,
        _ => return Ok(None),
    };
    let Some(picture) = decode(bytes, format, work)? else { return Ok(None) };
    let (width, height) = (picture.width(), picture.height());
    // What is drawn stays sharp and what is see-through stays so; photographs are smaller as JPEG.
    let keep_png = types.contains(&"image/png") && (picture.color().has_alpha() || format == ImageFormat::Png);
    let said = |encoded: &[u8], kind: &str, size: (u32, u32)| {
        let (before, now) = (bytes.len(), encoded.len());
        let from = format!("{format:?}").to_lowercase();
        format!("{from} {width}×{height}, {before} bytes, to {kind} {}×{}, {now} bytes", size.0, size.1)
    };
    for wide in std::iter::once(width).chain(WIDTHS.iter().copied().filter(|wide| *wide < width)) {
        let tall = (u64::from(height) * u64::from(wide)).div_ceil(u64::from(width));
        let pixels = u64::from(wide) * tall;
        if pixels > limits::OPTIMIZE_KEPT_PIXELS {
            continue;
        }
        let tall = u32::try_from(tall).unwrap_or(u32::MAX).max(1);
        let smaller = if wide == width { None } else { Some(shrink(&picture, wide, tall)) };
        let scaled = smaller.as_ref().unwrap_or(&picture);
        let mut attempt = |encode: &dyn Fn() -> Option<Vec<u8>>| {
            *work = work.checked_sub(pixels * limits::ENCODED_PIXEL).ok_or(TooMuch::Work)?;
            Ok(encode().filter(|encoded| (encoded.len() as u64) < most))
        };
        if keep_png && let Some(encoded) = attempt(&|| as_png(scaled))? {
            let said = said(&encoded, "png", (wide, tall));
            return Ok(Some((encoded, said)));
        }
        for quality in QUALITIES.iter().filter(|_| !picture.color().has_alpha() || !keep_png) {
            if let Some(encoded) = attempt(&|| as_jpeg(scaled, *quality))? {
                let said = said(&encoded, &format!("jpeg (quality {quality})"), (wide, tall));
                return Ok(Some((encoded, said)));
            }
        }
    }
    Ok(None)
}

/// The picture in bytes of red, green and blue, and of opacity if any of it is see-through.
fn decode(bytes: &[u8], format: ImageFormat, work: &mut u64) -> Result<Option<DynamicImage>, TooMuch> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = Limits::default();
    (bounds.max_image_width, bounds.max_image_height) = (Some(limits::IMAGE_SIDE_MAX), Some(limits::IMAGE_SIDE_MAX));
    bounds.max_alloc = Some(limits::OPTIMIZE_ALLOC_MAX);
    reader.limits(bounds);
    if let Some((width, height)) = dimensions(bytes)
        && u64::from(width) * u64::from(height) > limits::OPTIMIZE_PIXELS_MAX
    {
        return Err(TooMuch::Pixels(width, height));
    }
    let Ok(mut decoder) = reader.into_decoder() else { return Ok(None) };
    let (width, height) = decoder.dimensions();
    // A pixel of more than four bytes counts as more than one.
    let pixels = decoder.total_bytes().div_ceil(4).max(u64::from(width) * u64::from(height));
    if pixels > limits::OPTIMIZE_PIXELS_MAX {
        return Err(TooMuch::Pixels(width, height));
    }
    *work = work.checked_sub(pixels).ok_or(TooMuch::Work)?;
    // What is written has no EXIF: the pixels are turned instead.
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let Ok(mut picture) = DynamicImage::from_decoder(decoder) else { return Ok(None) };
    picture.apply_orientation(turned);
    if !picture.color().has_alpha() {
        return Ok(Some(DynamicImage::ImageRgb8(picture.into_rgb8())));
    }
    let picture = picture.into_rgba8();
    let clear = picture.pixels().any(|pixel| pixel.0[3] < 255);
    let picture = DynamicImage::ImageRgba8(picture);
    Ok(Some(if clear { picture } else { DynamicImage::ImageRgb8(picture.into_rgb8()) }))
}

/// A smaller picture, each pixel of which is the mean of what it covers. Beside it, only a line is held.
fn shrink(picture: &DynamicImage, wide: u32, tall: u32) -> DynamicImage {
    let channels = usize::from(picture.color().channel_count());
    let (from, to) = ((picture.width() as usize, picture.height() as usize), (wide as usize, tall as usize));
    let out = averages(picture.as_bytes(), channels, from, to);
    // The sizes are right by what `averages` gives.
    let made = match channels {
        4 => image::RgbaImage::from_raw(wide, tall, out).map(DynamicImage::ImageRgba8),
        _ => image::RgbImage::from_raw(wide, tall, out).map(DynamicImage::ImageRgb8),
    };
    made.unwrap_or_default()
}

/// Means of the parts of `from` (width, height) that each of the pixels of `to` covers.
fn averages(bytes: &[u8], channels: usize, from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    // A pixel of `from` is `to` units wide and high, one of `to` is `from` units: all are whole numbers.
    let area = (from.0 * from.1) as u64;
    let mut out = Vec::with_capacity(to.0 * to.1 * channels);
    let mut narrow = vec![0_u64; to.0 * channels];
    let mut sums = vec![0_u64; to.0 * channels];
    let mut left = from.1;
    for line in bytes.chunks_exact(from.0 * channels) {
        narrow.fill(0);
        let (mut column, mut room) = (0, from.0);
        for pixel in line.chunks_exact(channels) {
            let mut width = to.0;
            while width > 0 && column < to.0 {
                let part = width.min(room);
                for (sum, value) in narrow[column * channels..].iter_mut().zip(pixel) {
                    *sum += u64::from(*value) * part as u64;
                }
                (width, room) = (width - part, room - part);
                if room == 0 {
                    (column, room) = (column + 1, from.0);
                }
            }
        }
        let mut height = to.1;
        while height > 0 {
            let part = height.min(left);
            sums.iter_mut().zip(&narrow).for_each(|(sum, value)| *sum += value * part as u64);
            (height, left) = (height - part, left - part);
            if left == 0 {
                out.extend(sums.iter().map(|sum| u8::try_from((sum + area / 2) / area).unwrap_or(u8::MAX)));
                sums.fill(0);
                left = from.1;
            }
        }
    }
    out
}

fn as_png(picture: &DynamicImage) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let encoder = png::PngEncoder::new_with_quality(&mut out, png::CompressionType::Best, png::FilterType::Adaptive);
    let kind = if picture.color().has_alpha() { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    encoder.write_image(picture.as_bytes(), picture.width(), picture.height(), kind).ok()?;
    Some(out)
}

/// As JPEG, on white where it is see-through.
fn as_jpeg(picture: &DynamicImage, quality: u8) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, quality);
    let Some(clear) = picture.as_rgba8() else {
        encoder.encode_image(picture).ok()?;
        return Some(out);
    };
    let plain = image::RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = clear.get_pixel(x, y).0.map(u32::from);
        let over = |value: u32| u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        image::Rgb([over(red), over(green), over(blue)])
    });
    encoder.encode_image(&plain).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(bytes: &[u8], types: &[&str], most: u64) -> Option<(Vec<u8>, String)> {
        super::fit(bytes, types, most, &mut { limits::OPTIMIZE_WORK_MAX }).expect("is not too much")
    }

    /// A picture that does not compress.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |_, _| image::Rgb([next(), next(), next()])))
    }

    fn webp(picture: &DynamicImage) -> Vec<u8> {
        let mut out = Vec::new();
        picture.write_to(&mut Cursor::new(&mut out), ImageFormat::WebP).expect("encodes");
        out
    }

    /// A JPEG that says how it is to be turned, in the way of cameras.
    fn turned(picture: &DynamicImage, orientation: u8) -> Vec<u8> {
        let jpeg = as_jpeg(picture, 95).expect("encodes");
        let exif =
            [b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0, 0]]
                .concat();
        let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn photos_stand_upright_whatever_the_camera_noted() {
        // Red, green and blue corners: top left, top right, bottom left of what is stored.
        let colour = |x: u32, y: u32| match (x < 24, y < 16) {
            (true, true) => [250, 0, 0],
            (false, true) => [0, 250, 0],
            (true, false) => [0, 0, 250],
            (false, false) => [250, 250, 250],
        };
        let stored = DynamicImage::ImageRgb8(image::RgbImage::from_fn(48, 32, |x, y| image::Rgb(colour(x, y))));
        // Where the three corners stand in what is seen.
        for (orientation, size, [red, green, blue]) in [
            (1, (48, 32), [(0, 0), (1, 0), (0, 1)]),
            (2, (48, 32), [(1, 0), (0, 0), (1, 1)]),
            (3, (48, 32), [(1, 1), (0, 1), (1, 0)]),
            (4, (48, 32), [(0, 1), (1, 1), (0, 0)]),
            (5, (32, 48), [(0, 0), (0, 1), (1, 0)]),
            (6, (32, 48), [(1, 0), (1, 1), (0, 0)]),
            (7, (32, 48), [(1, 1), (1, 0), (0, 1)]),
            (8, (32, 48), [(0, 1), (0, 0), (1, 1)]),
        ] {
            let (bytes, said) = fit(&turned(&stored, orientation), &["image/jpeg"], 1 << 20).expect("fits");
            assert_eq!(super::super::dimensions(&bytes), Some(size), "{orientation}: {said}");
            let made = image::load_from_memory(&bytes).expect("decodes").into_rgb8();
            for ((right, low), channel) in [(red, 0), (green, 1), (blue, 2)] {
                let pixel = made.get_pixel(4 + right * (size.0 - 9), 4 + low * (size.1 - 9)).0;
                let strongest = (0..3).max_by_key(|at| pixel[*at]);
                assert!(
                    strongest == Some(channel) && pixel.iter().filter(|value| **value > 150).count() == 1,
                    "{orientation}: {pixel:?}"
                );
            }
        }
    }

    #[test]
    fn webp_becomes_what_is_taken() {
        let types = ["image/jpeg", "image/png"];
        let (bytes, said) = fit(&webp(&noise(40, 30)), &types, 1 << 20).expect("fits");
        assert_eq!(super::super::content_type(&bytes), Some("image/jpeg"));
        assert!(said.starts_with("webp 40×30, ") && said.contains("to jpeg (quality 85) 40×30"), "{said}");
        let clear = DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(9, 9, image::Rgba([255, 0, 0, 100])));
        let (bytes, _) = fit(&webp(&clear), &types, 1 << 20).expect("fits");
        assert_eq!(super::super::content_type(&bytes), Some("image/png"));
        assert_eq!(super::super::dimensions(&bytes), Some((9, 9)));
        // A thumbnail cannot be see-through.
        let (bytes, _) = fit(&webp(&clear), &["image/jpeg"], 1 << 16).expect("fits");
        assert_eq!(super::super::content_type(&bytes), Some("image/jpeg"));
    }

    #[test]
    fn large_pictures_become_smaller_and_always_the_same() {
        let large = as_png(&noise(120, 100)).expect("encodes");
        assert!(large.len() > 30_000, "{}", large.len());
        let once = fit(&large, &["image/jpeg", "image/png"], 20_000).expect("fits");
        assert!(once.0.len() < 20_000 && once.1.contains("120×100"), "{}", once.1);
        assert_eq!(Some(once), fit(&large, &["image/jpeg", "image/png"], 20_000));
        // Wider ones lose width before they are refused.
        let wide = as_png(&noise(1500, 16)).expect("encodes");
        let (bytes, said) = fit(&wide, &["image/jpeg"], 24_000).expect("fits");
        assert!(bytes.len() < 24_000 && super::super::dimensions(&bytes).is_some_and(|size| size.0 < 1500), "{said}");
        assert_eq!(fit(&large, &["image/jpeg"], 100), None);
        assert_eq!(fit(b"GIF89a\x03\0\x02\0", &["image/jpeg"], 1 << 20), None);
        assert_eq!(fit(&large[..500], &["image/jpeg"], 1 << 20), None);
    }
    /// The header of a webp without loss, and nothing after it.
    fn claims(width: u32, height: u32) -> Vec<u8> {
        let size = (width - 1) | (height - 1) << 14;
        [&b"RIFF\x22\0\0\0WEBPVP8L\x16\0\0\0\x2f"[..], &size.to_le_bytes(), &[0; 17]].concat()
    }

    #[test]
    fn pixels_are_counted_before_they_are_read() {
        let types = ["image/jpeg", "image/png"];
        let try_it = |bytes: &[u8], work: u64| super::fit(bytes, &types, 1 << 20, &mut { work });
        assert_eq!(claims(16_384, 16_384).len(), 42);
        assert_eq!(try_it(&claims(16_384, 16_384), limits::OPTIMIZE_WORK_MAX), Err(TooMuch::Pixels(16_384, 16_384)));
        assert_eq!(try_it(&claims(5000, 5001), limits::OPTIMIZE_WORK_MAX), Err(TooMuch::Pixels(5000, 5001)));
        assert!(try_it(&claims(5000, 5000), limits::OPTIMIZE_WORK_MAX).is_ok());
        // 12 pixels that are read, and four times as many that are written.
        let small = webp(&noise(4, 3));
        assert_eq!(try_it(&small, 11), Err(TooMuch::Work));
        assert_eq!(try_it(&small, 59), Err(TooMuch::Work));
        assert!(try_it(&small, 60).is_ok_and(|made| made.is_some()));
    }

    #[test]
    fn a_smaller_pixel_is_the_mean_of_what_it_covers() {
        assert_eq!(averages(&[0, 100, 200, 40], 1, (4, 1), (2, 1)), [50, 120]);
        assert_eq!(averages(&[0, 90, 30], 1, (3, 1), (2, 1)), [30, 50]);
        assert_eq!(averages(&[0, 100, 50, 250], 1, (2, 2), (1, 1)), [100]);
        assert_eq!(averages(&[9, 8, 7, 6, 1, 2, 3, 4], 4, (1, 2), (1, 1)), [5, 5, 5, 5]);
        assert_eq!(averages(&[7; 5 * 3 * 3], 3, (5, 3), (3, 2)), [7; 3 * 2 * 3]);
    }
}
